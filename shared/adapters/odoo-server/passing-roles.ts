import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientBase } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { ensureRole, setLogin } from './roles.ts';
import type { ServerAccess } from './server-access.ts';

/** How long the sessions of a role are given to be gone. A step has 20 s. */
const goneWithinMs = 5_000;
const pollMs = 50;

/**
 * A role that logs in for one Job. PostgreSQL itself refuses its password after `validSeconds`, by its own clock: one that
 * nobody comes to close closes itself. Must run in a transaction that keeps others from the same name.
 */
export async function openPassingRole(
  client: ClientBase,
  name: string,
  options: { verifier: string; connectionLimit: number; validSeconds: number },
): Promise<void> {
  await ensureRole(client, name, { login: true, ...options });
  const { rows } = await client.query<{ until: string }>(
    "SELECT (clock_timestamp() + $1::integer * interval '1 second')::text AS until",
    [options.validSeconds],
  );
  // Its own memberships are all that it is for; on 15 also the right to its own database comes by one.
  const until = quoteLiteral(rows[0]?.until ?? 'now');
  await client.query(`ALTER ROLE ${quoteIdentifier(name)} INHERIT VALID UNTIL ${until}`);
}

/**
 * Ends every session of a role that may log in no more, until there is none.
 * @throws Failure `conflict` when some are still there after 5 s.
 */
export async function endSessionsOf(access: ServerAccess, role: string): Promise<void> {
  const deadline = Date.now() + goneWithinMs;
  for (;;) {
    const count = await access.control('end the sessions of a Job', async (client) => {
      const query = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1';
      return (await client.query(query, [role])).rowCount;
    });
    if (count === 0) return;
    if (Date.now() > deadline) throw new Failure('conflict', `${count} sessions of role ${role} do not end; try again`);
    await sleep(pollMs);
  }
}

/** So that no session that is ended can come back. A role that is not there stays so. */
export async function closePassingRole(client: ClientBase, name: string): Promise<void> {
  await setLogin(client, name, { login: false });
}

export async function roleExists(client: ClientBase, name: string): Promise<boolean> {
  return (await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name])).rowCount === 1;
}
