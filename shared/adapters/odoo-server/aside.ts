import type { PoolClient } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { findPlaces, refuseBoth } from './databases.ts';
import { saysItIsInUse, sqlStateOf } from './errors.ts';
import { withFence } from './fence.ts';
import { tenantNames, tombstoneName } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import { dropLeftovers } from './removal.ts';
import { setLogin } from './roles.ts';
import type { ServerAccess } from './server-access.ts';
import { cutSessions } from './sessions.ts';
import { batch } from './transaction.ts';

/** The server waits 5 s for sessions to leave a database before it refuses RENAME; those of a tenant are ended sooner. */
const renameTimeoutMs = 1_000;
const renameAttempts = 3;

export async function whereabouts(access: ServerAccess, instanceId: string) {
  const { live, aside } = await access.control('look for the database', (client) => findPlaces(client, instanceId));
  if (live !== undefined) return aside === undefined ? 'live' : 'both';
  return aside === undefined ? 'absent' : 'aside';
}

/**
 * First the login is taken away, in a transaction of its own: no session that is ended can come back, whatever still
 * runs in the cluster. Then the sessions are ended, and the database is renamed and closed in one transaction. A kill
 * in between leaves a database that the tenant cannot reach; the next call goes on from there.
 */
export async function setAside(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { live } = await withFence(access, fenced, { doing: 'lock the tenant out' }, async (client) => {
    const places = refuseBoth(await findPlaces(client, fenced.instanceId));
    await setLogin(client, tenantNames(fenced.instanceId).role, { login: false });
    return places;
  });
  await cutSessions(access, fenced);
  // half-made, and never anybody's: the next holder of the fence would drop it, but there is none after this
  if (live === undefined) await dropLeftovers(access, fenced);
  const rename = () =>
    withFence(access, fenced, { doing: 'set the database aside' }, (client) => renameAside(client, fenced));
  await renameUntilFree(rename, { cut: () => cutSessions(access, fenced) });
}

/** A session that had logged in before it could not any more may not be in the list of sessions yet. */
export async function renameUntilFree(
  rename: () => Promise<void>,
  options: { cut: () => Promise<void> },
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rename();
    } catch (error) {
      if (attempt === renameAttempts || !(error instanceof Failure) || error.code !== 'conflict') throw error;
      await options.cut();
    }
  }
}

async function renameAside(client: PoolClient, fenced: Fenced): Promise<void> {
  const { live, aside } = refuseBoth(await findPlaces(client, fenced.instanceId));
  const tombstone = tombstoneName(fenced.instanceId);
  if (live === undefined) {
    // somebody may have opened it by hand since
    if (aside?.allowsConnections) await client.query(closed(tombstone));
    return;
  }
  await renameClosed(client, live.name, tombstone);
}

/** Renames a database and closes it to connections. @throws Failure `conflict` when somebody is in it. */
export async function renameClosed(client: PoolClient, from: string, to: string): Promise<void> {
  const rename = `ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`;
  await client.query(`SET LOCAL statement_timeout = ${renameTimeoutMs}`);
  await batch(client, [rename, closed(to)]).catch((error) => {
    const isInUse = saysItIsInUse(error) || sqlStateOf(error) === '57014';
    throw isInUse ? new Failure('conflict', `Somebody is in database ${from}; try again`) : error;
  });
}

const closed = (name: string) => `ALTER DATABASE ${quoteIdentifier(name)} WITH ALLOW_CONNECTIONS false`;

/** One transaction, the login last: the tenant comes in when all is as it was, or not at all. */
export async function bringBack(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { database, role } = tenantNames(fenced.instanceId);
  await withFence(access, fenced, { doing: 'bring the database back' }, async (client) => {
    const { live, aside } = refuseBoth(await findPlaces(client, fenced.instanceId));
    if (aside !== undefined) {
      await client.query(`ALTER DATABASE ${quoteIdentifier(aside.name)} RENAME TO ${quoteIdentifier(database)}`);
    } else if (live === undefined) {
      throw new Failure('not-found', `There is neither ${database} nor ${tombstoneName(fenced.instanceId)}`);
    }
    if (!(live ?? aside)?.allowsConnections) {
      await client.query(`ALTER DATABASE ${quoteIdentifier(database)} WITH ALLOW_CONNECTIONS true`);
    }
    await setLogin(client, role, { login: true });
  });
}
