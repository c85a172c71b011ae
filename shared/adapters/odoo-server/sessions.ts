import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { withFence } from './fence.ts';
import { tenantNames } from './object-names.ts';
import type { ServerAccess } from './server-access.ts';

/** How long the sessions are given to be gone. A step has 20 s, and a rename may come after this. */
const goneWithinMs = 5_000;
const pollMs = 50;

/**
 * Sessions that are somebody's in the database, and the tenant's in any other: Odoo listens in `postgres` for its bus
 * and its scheduled actions. The admin's own are left out: they are short, and under a fence of their own. A server's worker, such as
 * autovacuum's, has no user; what kind of session a superuser's is, is not shown to others.
 */
const isTenants = 'usename <> current_user AND (datname = $1 OR usename = $2)';

export async function countSessions(access: ServerAccess, instanceId: string): Promise<number> {
  const { database, role } = tenantNames(instanceId);
  const { rows } = await access.control('count the sessions', (client) =>
    client.query<{ count: number }>(`SELECT count(*)::int AS count FROM pg_stat_activity WHERE ${isTenants}`, [
      database,
      role,
    ]),
  );
  return rows[0]?.count ?? 0;
}

/**
 * Ends the sessions, those that come meanwhile too, until there is none.
 * @throws Failure `conflict` when some are still there after 5 s, such as a superuser's, which the admin may not end.
 */
export async function cutSessions(access: ServerAccess, fenced: Fenced, database?: string): Promise<void> {
  const { database: live, role } = tenantNames(fenced.instanceId);
  const deadline = Date.now() + goneWithinMs;
  for (;;) {
    const found = await withFence(access, fenced, { doing: 'end the sessions' }, async (client) => {
      const { rows } = await client.query<{ user: string }>(
        `SELECT usename::text AS "user",
           CASE WHEN pg_has_role(current_user, usesysid, 'USAGE') THEN pg_terminate_backend(pid) END
         FROM pg_stat_activity WHERE ${isTenants}`,
        [database ?? live, role],
      );
      return rows.map((row) => row.user);
    });
    if (found.length === 0) return;
    if (Date.now() > deadline) {
      const users = [...new Set(found)].join(', ');
      throw new Failure('conflict', `${found.length} sessions of ${users} stay in ${database ?? live}; end them`, {
        facts: { instanceId: fenced.instanceId },
      });
    }
    await sleep(pollMs);
  }
}
