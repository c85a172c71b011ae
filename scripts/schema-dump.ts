import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { migrationsTable } from '#shared/adapters/postgres/migrate.ts';

export type DumpSource = { host: string; port: number; database: string; user: string; password: string };

/**
 * The database's schema as `pg_dump` writes it, without what differs between versions of it.
 * @throws Error with pg_dump's own words; ENOENT when `program` is not there.
 */
export async function dumpSchema(
  source: DumpSource,
  { program = 'pg_dump' }: { program?: string } = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'schema-'));
  try {
    const passwordFile = join(folder, 'pgpass');
    const field = (text: string) => text.replace(/[\\:]/g, '\\$&');
    await writeFile(passwordFile, `*:*:*:*:${field(source.password)}\n`, { mode: 0o600 });
    const { stdout } = await promisify(execFile)(program, dumpArguments(source), {
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', PGPASSFILE: passwordFile },
      maxBuffer: 16_000_000,
    });
    return normaliseDump(stdout);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function dumpArguments({ host, port, database, user }: DumpSource): string[] {
  const content = ['--schema-only', '--no-owner', '--no-privileges'];
  const without = [migrationsTable, `${migrationsTable}_id_seq`].map((table) => `--exclude-table=${table}`);
  return [...content, ...without, '--no-password', `--host=${host}`, `--port=${port}`, `--username=${user}`, database];
}

/** Leaves out session settings, the dump's own comments and psql's commands: they change from version to version. */
export function normaliseDump(dump: string): string {
  const lines = dump
    .split('\n')
    .filter((line) => !/^(--|SET |\\(un)?restrict |SELECT pg_catalog\.set_config\()/.test(line))
    .join('\n');
  return `${lines.replace(/\n{3,}/g, '\n\n').trim()}\n`;
}
