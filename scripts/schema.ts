import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { dumpSchema } from './schema-dump.ts';

/** The schema that the migrations make, for people to read and for reviews to show. */
export const schemaFile = join(import.meta.dirname, '../shared/adapters/postgres/schema.sql');

const header =
  '-- The schema after all migrations. Written by `node scripts/schema.ts`: change the migrations, not this file.\n\n';

/** Migrates an empty database on a private server and returns its schema. */
export async function freshSchema(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'schema-'));
  const processes = await openProcessGroup();
  try {
    const server = await startPostgres({ processes, folder, name: 'schema', durable: false });
    const source = {
      host: server.host,
      port: server.port,
      database: 'postgres',
      user: server.superuser,
      password: server.superuserPassword,
    };
    await migrate(source);
    return header + (await dumpSchema(source, { program: join(server.binFolder, 'pg_dump') }));
  } finally {
    await processes.stopAll();
    await removeTree(folder);
  }
}

if (import.meta.main) {
  const schema = await freshSchema();
  if (!process.argv.includes('--check')) {
    await writeFile(schemaFile, schema);
  } else if ((await readFile(schemaFile, 'utf8').catch(() => '')) !== schema) {
    console.error('shared/adapters/postgres/schema.sql is not what the migrations make. Run: node scripts/schema.ts');
    process.exitCode = 1;
  }
}
