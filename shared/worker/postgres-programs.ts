import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';

const run = promisify(execFile);

/**
 * What libpq's programs need to reach the database, as their environment. The password is in a file in `folder` that
 * only this user can read: environments and command lines can be read by others.
 */
export async function programEnvironment(access: DatabaseAccess, folder: string): Promise<Record<string, string>> {
  const file = join(folder, 'pgpass');
  const password = access.password.replaceAll(/[\\:]/g, (character) => `\\${character}`);
  await writeFile(file, `*:*:*:*:${password}\n`, { mode: 0o600, flag: 'wx' });
  return {
    PGHOST: access.host,
    PGPORT: String(access.port),
    PGUSER: access.user,
    PGDATABASE: access.database,
    PGSSLMODE: access.sslMode,
    // libpq looks for authorities where this user has no file, and takes the system's by this name only from 16 on
    PGSSLROOTCERT: process.env['NODE_EXTRA_CA_CERTS'] ?? '/etc/ssl/certs/ca-certificates.crt',
    PGPASSFILE: file,
    PGCONNECT_TIMEOUT: '15',
    PGAPPNAME: 'fleet-worker',
  };
}

/** The versions that meet: of the server as it says, of the program as it says. */
export type PostgresVersions = { major: number; server: string; client: string };

/**
 * pg_dump and pg_restore know the servers of their own major version and older ones.
 * @throws Failure `misconfigured` when the program is missing or older than the server.
 */
export async function checkClientVersion(
  program: 'pg_dump' | 'pg_restore',
  server: { major: number; version: string },
): Promise<PostgresVersions> {
  const said = await run(program, ['--version']).catch((cause: unknown) => {
    throw new Failure('misconfigured', `${program} cannot be run: the image of the worker needs PostgreSQL's client.`, {
      cause,
    });
  });
  const client = /\) (\d+(\.\d+)*)/.exec(said.stdout)?.[1] ?? '';
  const major = Number.parseInt(client, 10);
  if (!(major >= server.major)) {
    throw new Failure(
      'misconfigured',
      `The image of the worker has ${program} ${client || 'of an unknown version'}, the server is PostgreSQL ` +
        `${server.version}: ${program} must be of major version ${server.major} or newer. Build the image with it.`,
    );
  }
  return { major: server.major, server: server.version, client };
}
