import type { PoolClient } from 'pg';
import type { Fenced, TemplateKey } from '#shared/domain/instance/ports.ts';
import { findPlaces, refuseTombstone } from './databases.ts';
import { saysItIsInUse, saysThereIsNoDatabase, sqlStateOf } from './errors.ts';
import { withFence } from './fence.ts';
import { templateNames, tenantNames } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { batch } from './transaction.ts';

/** The server waits 5 s for sessions to leave a database before it refuses RENAME; another clone is there sooner. */
const renameTimeoutMs = 1_000;
/** First key of the advisory locks on ready clones. */
export const claimLockClass = 0x636c61;

/**
 * Renames one ready clone to the instance's database, in one transaction with the check of the fence.
 * True also when the database is there already; false when no clone could be had.
 */
export function claimWarm(access: ServerAccess, fenced: Fenced, template: TemplateKey): Promise<boolean> {
  const { warmPrefix } = templateNames(template.digest);
  const { database } = tenantNames(fenced.instanceId);
  return withFence(access, fenced, { doing: 'claim a ready database' }, async (client) => {
    const places = await findPlaces(client, fenced.instanceId);
    refuseTombstone(places);
    if (places.live !== undefined) return true;
    const tried: string[] = [];
    for (;;) {
      const candidate = await lockCandidate(client, warmPrefix, tried);
      if (candidate === undefined) return false;
      if (await rename(client, candidate, database)) return true;
      tried.push(candidate);
    }
  });
}

/**
 * One clone that nobody else is claiming, at random so that claimers seldom meet. The lock is taken row by row until it
 * is got, never on more than that one: MATERIALIZED keeps the function out of the scan.
 */
async function lockCandidate(
  client: PoolClient,
  warmPrefix: string,
  tried: readonly string[],
): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string }>(
    `WITH ready AS MATERIALIZED (
       SELECT datname::text AS name FROM pg_database d
       WHERE starts_with(datname::text, $1) AND datallowconn AND datname <> ALL ($2)
         AND pg_has_role(current_user, datdba, 'USAGE')
         AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
       ORDER BY random())
     SELECT name FROM ready WHERE pg_try_advisory_xact_lock($3, hashtext(name)) LIMIT 1`,
    [warmPrefix, tried, claimLockClass],
  );
  return rows[0]?.name;
}

async function rename(client: PoolClient, from: string, to: string): Promise<boolean> {
  try {
    await batch(client, [
      'SAVEPOINT candidate',
      `SET LOCAL statement_timeout = ${renameTimeoutMs}`,
      `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`,
    ]);
    return true;
  } catch (error) {
    // claimed by somebody else since the list was read, or somebody is in it
    const isTaken = saysThereIsNoDatabase(error) || saysItIsInUse(error) || sqlStateOf(error) === '57014';
    if (!isTaken) throw error;
    await client.query('ROLLBACK TO SAVEPOINT candidate');
    return false;
  }
}
