import { Client, type ClientConfig } from 'pg';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';

const connectTimeoutMs = 15_000;

/** A session whose statements mean the same on every server: nothing of the tenant's is on its path, no text has a locale. */
const settings = {
  search_path: '',
  timezone: 'UTC',
  datestyle: 'ISO',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  quote_all_identifiers: 'off',
  // a policy would hide rows: an error is better
  row_security: 'off',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // somebody holds a table exclusively, as an upgrade does: this is not the moment
  lock_timeout: '60s',
};

/**
 * Opens a session, does the work, and closes it, whatever happens. `signal` cuts it.
 * @throws Failure `unavailable` when the server cannot be reached or goes away, `misconfigured` when it lets nobody in.
 */
export async function withSession<Result>(
  access: DatabaseAccess,
  signal: AbortSignal,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  const { sslMode, ...address } = access;
  const client = new Client({
    ...address,
    ssl: tlsOf(sslMode),
    application_name: 'fleet-worker',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  });
  client.on('error', () => undefined); // the statement that meets it reports it
  const cut = () => void client.end().catch(() => undefined);
  signal.addEventListener('abort', cut, { once: true });
  try {
    await client.connect();
    await client.query(
      Object.entries(settings)
        .map(([name, value]) => `SET ${name} TO '${value}'`)
        .join('; '),
    );
    return await work(client);
  } catch (error) {
    signal.throwIfAborted();
    throw mapped(error);
  } finally {
    signal.removeEventListener('abort', cut);
    // the server may be gone already
    await client.end().catch(() => undefined);
  }
}

/** libpq's meaning of sslmode. */
function tlsOf(sslMode: string): NonNullable<ClientConfig['ssl']> {
  if (sslMode === 'disable') return false;
  if (sslMode === 'require') return { rejectUnauthorized: false };
  if (sslMode === 'verify-ca') return { rejectUnauthorized: true, checkServerIdentity: () => undefined };
  return { rejectUnauthorized: true };
}

function mapped(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const said = error instanceof Error ? error.message : String(error);
  if (code === '55P03') {
    const text = `A table of the database is locked for more than a minute, as during an upgrade: ${said}.`;
    return new Failure('conflict', text, { cause: error });
  }
  if (/^28|^42501$|^3D000$/.test(code)) {
    return new Failure('misconfigured', `PostgreSQL does not let the worker in: ${said}.`, { cause: error });
  }
  if (code === '53100') return new Failure('no-capacity', `The disk of PostgreSQL is full: ${said}.`, { cause: error });
  if (/^(08|57P)/.test(code) || !/^[0-9A-Z]{5}$/.test(code)) {
    return new Failure('unavailable', `PostgreSQL cannot be reached or went away: ${said}.`, { cause: error });
  }
  return new Failure('job-failed', `PostgreSQL refused a statement (${code}): ${said}.`, { cause: error });
}

/** `15.18` and 15. */
export async function serverVersion(client: Client): Promise<{ major: number; version: string }> {
  const { rows } = await client.query<{ number: number; version: string }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version`,
  );
  const { number, version } = rows[0] ?? { number: 0, version: '' };
  // Debian's says more behind the number
  return { major: Math.floor(number / 10_000), version: version.split(' ')[0] ?? version };
}
