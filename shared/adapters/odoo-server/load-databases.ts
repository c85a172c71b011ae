import { loadDatabaseName } from '#shared/domain/backup/load-names.ts';
import type { LeftLoad, LoadDatabases } from '#shared/domain/backup/load-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { findDatabase, findPlaces, findTenantDatabase, refuseTombstone } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { droppingRoles } from './free-roles.ts';
import { checkLoadName, personalisedMark, tenantNames } from './object-names.ts';
import { closeToPublic, openToTenant } from './ownership.ts';
import { createPassing, dropPassing, inFence, inNoFence, isPassingThere } from './passing-databases.ts';
import { closePassingRole, endSessionsOf, roleExists } from './passing-roles.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { resetPassing } from './reset-passing.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, commit } from './transaction.ts';

/** The mark of a load's database, for people: its owner can change it, and what a dump holds is run as the owner. */
const markOf = (operationId: string) => `fleet: load of operation ${operationId}`;

/** The port on one server per call; `reach` gives a server that is prepared. */
export function loadDatabases(reach: (server: DatabaseServer) => Promise<ServerAccess>): LoadDatabases {
  return {
    async create(server, fenced, { operationId, round, ...options }) {
      const name = checkLoadName(loadDatabaseName({ instanceId: fenced.instanceId, operationId, round }));
      await createPassing(await reach(server), fenced, { ...options, name, mark: markOf(operationId) });
      return { database: name, user: name };
    },
    isThere: async (server, name) => isPassingThere(await reach(server), checkLoadName(name)),
    isHandedOver: async (server, instanceId, name) => isHandedOver(await reach(server), instanceId, name),
    handOver: async (server, fenced, name) => handOver(await reach(server), fenced, checkLoadName(name)),
    takeName: async (server, fenced, name) => takeName(await reach(server), fenced, checkLoadName(name)),
    drop: async (server, fenced, name) => dropPassing(await reach(server), checkLoadName(name), inFence(fenced)),
    list: async (server) => list(await reach(server)),
    sweep: async (server, name) => dropPassing(await reach(server), checkLoadName(name), inNoFence),
  };
}

async function isHandedOver(access: ServerAccess, instanceId: string, name: string): Promise<boolean> {
  return await access.control('look at the loaded database', async (client) => {
    const found = await findDatabase(client, checkLoadName(name));
    if (await roleExists(client, name)) return false;
    if (found !== undefined) return found.owner === tenantNames(instanceId).ownerRole;
    return (await findTenantDatabase(client, instanceId))?.mark === personalisedMark(instanceId);
  });
}

/**
 * As `personalise` does, and for its reasons: the fence is held in the control database, the work is one transaction inside,
 * and the session that holds the fence is asked for a sign of life before the work is committed. Inside nothing is read,
 * and REASSIGN runs nobody's code. The dump was restored without grants: those that DROP OWNED takes away are the load's.
 */
async function handOver(access: ServerAccess, fenced: Fenced, name: string): Promise<void> {
  await withFence(access, fenced, { doing: 'close the loaded database' }, (client) => closePassingRole(client, name));
  await endSessionsOf(access, name);
  // In a transaction of its own: it locks the database, which the session inside has to enter.
  await withFence(access, fenced, { doing: 'reset the loaded database' }, async (client) => {
    if ((await findDatabase(client, name))?.isOurs) await resetPassing(client, name);
  });
  const applicationName = fencedApplicationName(fenced);
  await droppingRoles(access, { roles: [name], own: name, applicationName }, () => giveAway(access, fenced, name));
}

async function giveAway(access: ServerAccess, fenced: Fenced, name: string): Promise<void> {
  const { role, ownerRole } = tenantNames(fenced.instanceId);
  await withFence(access, fenced, { doing: 'hand the loaded database over' }, async (control) => {
    const found = await findDatabase(control, name);
    if (found === undefined) throw new Failure('not-found', `There is no database ${name}: it must be loaded again`);
    if (!found.isOurs) throw new Failure('foreign-object', `Database ${name} belongs to role ${found.owner}`);
    if (!(await roleExists(control, name))) return;
    const to = { database: name, applicationName: fencedApplicationName(fenced) };
    await access.unpooled('hand the loaded database over', to, async (inside) => {
      await batch(inside, [
        'BEGIN',
        // The schema first: who gets a function must already have the right to create in its schema.
        `ALTER SCHEMA public OWNER TO ${quoteIdentifier(role)}`,
        `REASSIGN OWNED BY ${quoteIdentifier(name)} TO ${quoteIdentifier(role)}`,
        `DROP OWNED BY ${quoteIdentifier(name)}`,
        // the database itself went along
        `ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(ownerRole)}`,
        `REVOKE ALL ON DATABASE ${quoteIdentifier(name)} FROM PUBLIC, ${quoteIdentifier(role)}`,
        `DROP ROLE ${quoteIdentifier(name)}`,
      ]);
      await control.query('SELECT 1');
      await commit(inside);
    });
  });
}

async function takeName(access: ServerAccess, fenced: Fenced, name: string): Promise<void> {
  const { database, role, ownerRole } = tenantNames(fenced.instanceId);
  await withFence(access, fenced, { doing: 'name the loaded database' }, async (client) => {
    const places = await findPlaces(client, fenced.instanceId);
    refuseTombstone(places);
    const found = await findDatabase(client, name);
    if (found === undefined) {
      if (places.live?.mark === personalisedMark(fenced.instanceId)) return;
      throw new Failure('not-found', `There is no database ${name}: it must be loaded again`);
    }
    if (places.live !== undefined) {
      throw new Failure('not-allowed', `There is a database ${database} already; what was loaded must not replace it`);
    }
    if (found.owner !== ownerRole) throw new Failure('conflict', `Database ${name} was not handed over yet`);
    await batch(client, [
      `ALTER DATABASE ${quoteIdentifier(name)} RENAME TO ${quoteIdentifier(database)}`,
      ...closeToPublic(database),
      ...openToTenant(database, { role, ownerRole }),
      `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${quoteLiteral(personalisedMark(fenced.instanceId))}`,
    ]);
  });
}

async function list(access: ServerAccess): Promise<readonly LeftLoad[]> {
  const { rows } = await access.control('list the databases of loads', (client) =>
    client.query<{ database: string }>(
      `SELECT datname::text AS database FROM pg_database
       WHERE datname ~ '^load_[a-z2-7]{12}_[0-9a-f]{8}_[0-9]{1,9}$' AND pg_has_role(current_user, datdba, 'USAGE')
       ORDER BY 1`,
    ),
  );
  return rows.map(({ database }) => {
    const [, instanceId = '', operation = ''] = database.split('_');
    return { database, instanceId, operation };
  });
}
