import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { renameClosed, renameUntilFree } from './aside.ts';
import { findDatabase, listDatabases } from './databases.ts';
import { withFence } from './fence.ts';
import { quarantineName, tenantNames } from './object-names.ts';
import { setLogin } from './roles.ts';
import type { ServerAccess } from './server-access.ts';
import { cutSessions } from './sessions.ts';

/** A database that was put out of use, by its new name. */
export type Quarantined = { database: string; instanceId: string };

/**
 * Puts a database out of use whose instance no record knows: its role may not log in any more, sessions are ended, it
 * is renamed to `quarantine_<id>_<n>` and closed to connections. Nothing is dropped and its mark stays: renamed back,
 * opened, and with LOGIN for the role it is what it was. Repeatable: one that is gone already is no failure.
 *
 * It takes the fence as it stands, for there is no operation to have a higher one. Whoever works on the instance after
 * all either holds the row, or has raised it since it was read, and this is refused.
 * @throws Failure `not-allowed` for a name that is not an instance's, `foreign-object` when it is not ours.
 */
export async function quarantine(access: ServerAccess, database: string): Promise<void> {
  const [, instanceId] = /^(?:odoo|tombstone)_([a-z2-7]{12})$/.exec(database) ?? [];
  if (instanceId === undefined) throw new Failure('not-allowed', `${database} is not the database of an instance`);
  const fenced = { instanceId, fence: await readFence(access, instanceId) };
  const isThere = await withFence(access, fenced, { doing: 'lock out the role of the orphan' }, async (client) => {
    const found = await findDatabase(client, database);
    if (found === undefined) return false;
    if (!found.isOurs) throw new Failure('foreign-object', `Database ${database} belongs to role ${found.owner}`);
    await setLogin(client, tenantNames(instanceId).role, { login: false });
    return true;
  });
  if (!isThere) return;
  const cut = () => cutSessions(access, fenced, database);
  await cut();
  await renameUntilFree(() => renameToQuarantine(access, fenced, database), { cut });
}

async function readFence(access: ServerAccess, instanceId: string): Promise<number> {
  const { rows } = await access.control('read the fence', (client) =>
    client.query<{ n: string }>('SELECT n FROM public.fence WHERE instance_id = $1', [instanceId]),
  );
  return Number(rows[0]?.n ?? 0);
}

function renameToQuarantine(access: ServerAccess, fenced: Fenced, database: string): Promise<void> {
  return withFence(access, fenced, { doing: 'put the orphan into quarantine' }, async (client) => {
    if ((await findDatabase(client, database)) === undefined) return;
    const prefix = quarantineName(fenced.instanceId, 0).slice(0, -1);
    const numbers = (await listDatabases(client, prefix)).map((name) => Number(name.slice(prefix.length)));
    await renameClosed(client, database, quarantineName(fenced.instanceId, Math.max(0, ...numbers) + 1));
  });
}

export async function listQuarantined(access: ServerAccess): Promise<readonly Quarantined[]> {
  const names = await access.control('list the quarantined databases', (client) =>
    listDatabases(client, 'quarantine_'),
  );
  return names.flatMap((database) => {
    const [, instanceId] = /^quarantine_([a-z2-7]{12})_\d+$/.exec(database) ?? [];
    return instanceId === undefined ? [] : [{ database, instanceId }];
  });
}
