import type { PoolClient, QueryResult } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { tenantNames } from './object-names.ts';
import { quoteLiteral } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { inTransaction } from './transaction.ts';

/** How long a newer holder lets an older one finish what it has begun, before its session is terminated. */
const courtesyMs = 1_000;
/** How long the server may take to end a session, at most. */
const terminateWaitMs = 5_000;

/** Under this name every session of a holder works, so that a newer holder finds it. */
export function fencedApplicationName(fenced: Fenced): string {
  return `fleet:${fenced.instanceId}:${fenced.fence}`;
}

/**
 * Runs `work` in a transaction of the control database that holds the instance's fence.
 *
 * The first statement raises the fence to the caller's or finds it there, and locks its row until the end; a caller
 * with a lower one is refused. So two holders never act at once, and an older one never after a newer one.
 * Nothing needs `takeOver` before it for that: whoever acts with a higher fence has raised it.
 * @throws Failure `fenced` when a newer holder has been here, `conflict` when another one works just now.
 */
export function withFence<T>(
  access: ServerAccess,
  fenced: Fenced,
  options: FenceOptions,
  work: (client: PoolClient, first: readonly QueryResult[]) => Promise<T>,
): Promise<T> {
  const wait = options.waitMs === undefined ? [] : [`SET LOCAL lock_timeout = ${options.waitMs}`];
  const first = [...wait, raiseFence(fenced), ...(options.first ?? [])];
  return access.control(options.doing, (client) =>
    inTransaction(client, { applicationName: fencedApplicationName(fenced), first }, (results) => {
      const [raised, ...others] = results.slice(wait.length);
      if (raised?.rowCount !== 1) throw refused(fenced);
      return work(client, others);
    }),
  );
}

export type FenceOptions = {
  /** Ends the sentence "Could not …". */
  doing: string;
  /** Queries that share the round trip of the check; they must change nothing, as they run before its answer is seen. */
  first?: readonly string[];
  /** How long to wait for another holder; the connection's lock_timeout unless stated. */
  waitMs?: number;
};

/** Values are quoted, not parameters: it shares a round trip with BEGIN. */
function raiseFence(fenced: Fenced): string {
  const n = BigInt(fenced.fence);
  return `INSERT INTO public.fence AS held (instance_id, n) VALUES (${quoteLiteral(fenced.instanceId)}, ${n})
    ON CONFLICT (instance_id) DO UPDATE SET n = excluded.n WHERE held.n <= excluded.n RETURNING n`;
}

function refused(fenced: Fenced): Failure {
  return new Failure('fenced', `Instance ${fenced.instanceId} has a newer holder than fence ${fenced.fence}`, {
    facts: { instanceId: fenced.instanceId, fence: fenced.fence },
  });
}

/**
 * Raises the fence, and sees to it that no session works under a lower one afterwards.
 *
 * An older holder that is in the middle of its work holds the fence's row. It is given a moment to finish; one that
 * stands still is terminated. Its sessions inside the tenant's database are terminated too: they may be before their
 * COMMIT. See `personalise` for why none can appear later and still commit.
 */
export async function takeOver(access: ServerAccess, fenced: Fenced): Promise<void> {
  const raise = (waitMs: number) =>
    withFence(access, fenced, { doing: 'take over the instance', waitMs }, async () => undefined);
  try {
    await raise(courtesyMs);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'conflict') throw error;
    await terminateLower(access, fenced);
    await raise(terminateWaitMs);
  }
  await terminateLower(access, fenced);
}

const lowerSessions = `FROM pg_stat_activity
  WHERE usename IN (current_user, $3) AND pid <> pg_backend_pid()
    AND CASE WHEN application_name ~ '^fleet:[a-z2-7]{12}:[0-9]{1,18}$'
          THEN split_part(application_name, ':', 2) = $1 AND split_part(application_name, ':', 3)::bigint < $2
          ELSE false END`;

/**
 * Sessions of the admin, and those that work as the tenant inside his database. Another session of the tenant may bear
 * such a name only because he gave it: it is his own that is ended.
 * The name is checked in the same statement that terminates. A pooled connection may still go on to another
 * instance's work in between and lose it; that one gets `unavailable` and is tried again.
 */
async function terminateLower(access: ServerAccess, fenced: Fenced): Promise<void> {
  const values = [fenced.instanceId, fenced.fence, tenantNames(fenced.instanceId).role];
  const remaining = await access.control('end the sessions of an older holder', async (client) => {
    const { rows } = await client.query<{ ended: boolean }>(
      `SELECT pg_terminate_backend(pid, ${terminateWaitMs}) AS ended ${lowerSessions}`,
      values,
    );
    if (rows.every(({ ended }) => ended)) return 0;
    // false is also said of one that has ended by itself meanwhile, as a holder closes its other session when it loses one
    return (await client.query(`SELECT ${lowerSessions}`, values)).rows.length;
  });
  if (remaining > 0) {
    throw new Failure('conflict', `${remaining} sessions of an older holder did not end; try again`, {
      facts: { instanceId: fenced.instanceId, fence: fenced.fence },
    });
  }
}
