import type { ClientBase } from 'pg';
import type { RestoreSides, Sides } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { renameClosed, renameUntilFree } from './aside.ts';
import { findDatabase, findPlaces, refuseTombstone } from './databases.ts';
import { withFence } from './fence.ts';
import { checkLoadName, checkOldSideName, personalisedMark, tenantNames } from './object-names.ts';
import { closeToPublic, openToTenant } from './ownership.ts';
import { dropByTrash, inNoFence } from './passing-databases.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { setLogin } from './roles.ts';
import type { ServerAccess } from './server-access.ts';
import { cutSessions } from './sessions.ts';
import { batch } from './transaction.ts';

const oldSideMark = (instanceId: string) => `fleet: old side of instance ${instanceId}`;

/** The port on one server per call; `reach` gives a server that is prepared. */
export function restoreSides(reach: (server: DatabaseServer) => Promise<ServerAccess>): RestoreSides {
  return {
    majorVersion: async (server) => majorVersion(await reach(server)),
    look: async (server, instanceId, sides) =>
      (await reach(server)).control('look for both sides of the restore', (client) => look(client, instanceId, sides)),
    isOut: async (server, name) => isOut(await reach(server), checkOldSideName(name)),
    lockOut: async (server, fenced) => lockOut(await reach(server), fenced),
    exchange: async (server, fenced, sides) => exchange(await reach(server), fenced, sides),
    letIn: async (server, fenced) => letIn(await reach(server), fenced),
    mayLogIn: async (server, instanceId) => mayLogIn(await reach(server), instanceId),
    dropOldSide: async (server, name) => dropByTrash(await reach(server), checkOldSideName(name), inNoFence),
  };
}

async function majorVersion(access: ServerAccess): Promise<number> {
  const { rows } = await access.control('ask for the version', (client) =>
    client.query<{ number: number }>("SELECT current_setting('server_version_num')::int AS number"),
  );
  return Math.floor((rows[0]?.number ?? 0) / 10_000);
}

/** What becomes live is what was loaded, or what a restore took out before. */
function checkSides({ incoming, outgoing }: Sides): Sides {
  if (incoming.startsWith('old_')) checkOldSideName(incoming);
  else checkLoadName(incoming);
  return { incoming, outgoing: checkOldSideName(outgoing) };
}

async function look(client: ClientBase, instanceId: string, sides: Sides): Promise<'before' | 'after'> {
  const { incoming, outgoing } = checkSides(sides);
  const places = await findPlaces(client, instanceId);
  refuseTombstone(places);
  const [isIncoming, isOutgoing] = [await findDatabase(client, incoming), await findDatabase(client, outgoing)];
  if (places.live !== undefined && isIncoming !== undefined && isOutgoing === undefined) return 'before';
  if (places.live !== undefined && isIncoming === undefined && isOutgoing !== undefined) return 'after';
  const there = [tenantNames(instanceId).database, incoming, outgoing];
  const found = [places.live, isIncoming, isOutgoing].flatMap((one) => one?.name ?? []);
  throw new Failure(
    'foreign-object',
    `Of the databases ${there.join(', ')} there are ${found.join(', ') || 'none'}: find out which has the data.`,
  );
}

async function isOut(access: ServerAccess, name: string): Promise<boolean> {
  const found = await access.control('look for the side that went out', (client) => findDatabase(client, name));
  return found !== undefined;
}

async function lockOut(access: ServerAccess, fenced: Fenced): Promise<void> {
  await withFence(access, fenced, { doing: 'lock the tenant out' }, (client) =>
    setLogin(client, tenantNames(fenced.instanceId).role, { login: false }),
  );
  await cutSessions(access, fenced);
}

async function exchange(access: ServerAccess, fenced: Fenced, sides: Sides): Promise<void> {
  const rename = () =>
    withFence(access, fenced, { doing: 'exchange the databases' }, (client) => renameBoth(client, fenced, sides));
  await renameUntilFree(rename, { cut: () => cutSessions(access, fenced) });
}

async function renameBoth(client: Parameters<typeof renameClosed>[0], fenced: Fenced, sides: Sides): Promise<void> {
  const { database, role, ownerRole } = tenantNames(fenced.instanceId);
  const { incoming, outgoing } = sides;
  if ((await look(client, fenced.instanceId, sides)) === 'after') return;
  await renameClosed(client, database, outgoing);
  await batch(client, [
    `COMMENT ON DATABASE ${quoteIdentifier(outgoing)} IS ${quoteLiteral(oldSideMark(fenced.instanceId))}`,
    `ALTER DATABASE ${quoteIdentifier(incoming)} RENAME TO ${quoteIdentifier(database)}`,
    `ALTER DATABASE ${quoteIdentifier(database)} WITH ALLOW_CONNECTIONS true`,
    ...closeToPublic(database),
    ...openToTenant(database, { role, ownerRole }),
    `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${quoteLiteral(personalisedMark(fenced.instanceId))}`,
  ]);
}

async function letIn(access: ServerAccess, fenced: Fenced): Promise<void> {
  await withFence(access, fenced, { doing: 'let the tenant in' }, (client) =>
    setLogin(client, tenantNames(fenced.instanceId).role, { login: true }),
  );
}

async function mayLogIn(access: ServerAccess, instanceId: string): Promise<boolean> {
  const { rowCount } = await access.control('look whether the tenant may log in', (client) =>
    client.query('SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin', [tenantNames(instanceId).role]),
  );
  return rowCount === 1;
}
