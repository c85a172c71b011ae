import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Fenced, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { busyCrons, hasBaseUrl, mayLogIn, setBaseUrl } from './as-tenant.ts';
import { bringBack, setAside, whereabouts } from './aside.ts';
import { claimWarm } from './claim.ts';
import {
  createDatabase,
  dropDatabases,
  findDatabase,
  findPlaces,
  findTenantDatabase,
  refuseTombstone,
} from './databases.ts';
import { fencedApplicationName, takeOver, withFence } from './fence.ts';
import { initialisingMark, makingName, personalisedMark, templateNames, tenantNames } from './object-names.ts';
import { closeToPublic, isTenantsOwn, openToTenant, repairOwnership } from './ownership.ts';
import { personalise } from './personalise.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { dropLeftovers, moveToTrash, purge, remove } from './removal.ts';
import { ensureRole } from './roles.ts';
import { scramVerifier } from './scram.ts';
import type { ServerAccess } from './server-access.ts';
import { countSessions, cutSessions } from './sessions.ts';
import { createExtensions, hasLogins, lookInside } from './tenant-schema.ts';
import { batch, inTransaction } from './transaction.ts';

/** The port on one server per call; `reach` gives a server that is prepared. */
export function tenantDatabases(reach: (server: DatabaseServer) => Promise<ServerAccess>): TenantDatabases {
  return {
    takeOver: async (server, fenced) => takeOver(await reach(server), fenced),
    hasRoles: async (server, instanceId) => hasRoles(await reach(server), instanceId),
    createRoles: async (server, fenced, options) => createRoles(await reach(server), fenced, options),
    createClosedRoles: async (server, fenced) => createClosedRoles(await reach(server), fenced),
    lookDatabase: async (server, instanceId) => lookDatabase(await reach(server), instanceId),
    createEmpty: async (server, fenced) => createEmpty(await reach(server), fenced),
    claimWarm: async (server, fenced, template) => claimWarm(await reach(server), fenced, template),
    cloneTemplate: async (server, fenced, template) => cloneTemplate(await reach(server), fenced, template.digest),
    async isPersonalised(server, instance) {
      const access = await reach(server);
      return access.control('look at the database', (client) => isTenantsOwn(client, instance.id));
    },
    personalise: async (server, fenced, options) => personalise(await reach(server), fenced, options),
    wasUsed: async (server, instanceId) => wasUsed(await reach(server), instanceId),
    mayLogIn: async (server, instanceId, { password }) => mayLogIn(await reach(server), instanceId, password),
    busyCrons: async (server, instanceId, { password }) => busyCrons(await reach(server), instanceId, password),
    countSessions: async (server, instanceId) => countSessions(await reach(server), instanceId),
    cutSessions: async (server, fenced) => cutSessions(await reach(server), fenced),
    hasBaseUrl: async (server, instanceId, options) => hasBaseUrl(await reach(server), instanceId, options),
    setBaseUrl: async (server, fenced, options) => setBaseUrl(await reach(server), fenced, options),
    whereabouts: async (server, instanceId) => whereabouts(await reach(server), instanceId),
    setAside: async (server, fenced) => setAside(await reach(server), fenced),
    bringBack: async (server, fenced) => bringBack(await reach(server), fenced),
    repairOwnership: async (server, fenced) => repairOwnership(await reach(server), fenced),
    purge: async (server, fenced) => purge(await reach(server), fenced),
    remove: async (server, fenced) => remove(await reach(server), fenced),
  };
}

/** Also of a terminated instance, whose role may not log in: a purge is not over while they are there. */
async function hasRoles(access: ServerAccess, instanceId: string): Promise<boolean> {
  const { role, ownerRole } = tenantNames(instanceId);
  const { rowCount } = await access.control('look for the roles', (client) =>
    client.query(
      `SELECT FROM pg_roles WHERE (rolname = $1 OR (rolname = $2 AND NOT rolcanlogin))
         AND NOT (rolsuper OR rolcreatedb OR rolcreaterole)
         AND pg_has_role(current_user, oid, 'USAGE')`,
      [role, ownerRole],
    ),
  );
  return rowCount === 2;
}

async function createRoles(
  access: ServerAccess,
  fenced: Fenced,
  options: { password: string; connectionLimit: number },
): Promise<void> {
  const { role, ownerRole } = tenantNames(fenced.instanceId);
  const verifier = await scramVerifier(options.password);
  // one transaction: no role without the other, and none that the admin may not act as
  await withFence(access, fenced, { doing: 'create the roles' }, async (client) => {
    await ensureRole(client, ownerRole, { login: false });
    await ensureRole(client, role, { login: true, verifier, connectionLimit: options.connectionLimit });
  });
}

async function createClosedRoles(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { role, ownerRole } = tenantNames(fenced.instanceId);
  await withFence(access, fenced, { doing: 'create the roles' }, async (client) => {
    await ensureRole(client, ownerRole, { login: false });
    await ensureRole(client, role, { login: false });
  });
}

async function lookDatabase(access: ServerAccess, instanceId: string) {
  const found = await access.control('look for the database', (client) => findTenantDatabase(client, instanceId));
  if (found === undefined) return 'absent';
  // The tenant has been in there since. What he made of his tables is not for the admin to read.
  if (found.mark === personalisedMark(instanceId)) return 'initialised';
  const inside = await access.unpooled('look into the database', { database: found.name }, lookInside);
  if (!inside.isInitialised) return 'empty';
  // Odoo commits `base` first and its other modules one by one: that base is there does not say that the rest is.
  return found.mark === initialisingMark ? 'initialising' : 'initialised';
}

/** Before it is personalised nobody can log in: there is no login. */
async function wasUsed(access: ServerAccess, instanceId: string): Promise<boolean> {
  const found = await access.control('look for the database', (client) => findTenantDatabase(client, instanceId));
  if (found?.mark !== personalisedMark(instanceId)) return false;
  return await access.unpooled('look for logins', { database: found.name }, hasLogins);
}

async function createEmpty(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { database, role, ownerRole } = tenantNames(fenced.instanceId);
  const places = await access.control('look for the database', (client) => findPlaces(client, fenced.instanceId));
  refuseTombstone(places);
  const found = places.live;
  if (found !== undefined) {
    if (found.mark === personalisedMark(fenced.instanceId)) return;
    const inside = await access.unpooled('look into the database', { database }, lookInside);
    const isClone = found.mark !== initialisingMark && inside.isInitialised;
    if (isClone || inside.relations === 0) return;
    // A broken initialisation: Odoo cannot continue it. RENAME refuses while a Job is still at it.
    await withFence(access, fenced, { doing: 'move a broken initialisation aside' }, (client) =>
      moveToTrash(client, database, fenced),
    );
  }
  await make(access, fenced, {
    async fill(making) {
      const to = { database: making, applicationName: fencedApplicationName(fenced) };
      await access.unpooled('prepare the empty database', to, (client) =>
        inTransaction(client, { applicationName: to.applicationName }, async () => {
          await createExtensions(client);
          await batch(client, [
            ...closeToPublic(making),
            `COMMENT ON DATABASE ${quoteIdentifier(making)} IS ${quoteLiteral(initialisingMark)}`,
            `ALTER SCHEMA public OWNER TO ${quoteIdentifier(role)}`,
            ...openToTenant(making, { role, ownerRole }),
          ]);
        }),
      );
    },
    finish: [],
  });
}

async function cloneTemplate(access: ServerAccess, fenced: Fenced, digest: string): Promise<boolean> {
  const { template } = templateNames(digest);
  const [source, places] = await access.control('look for the template', async (client) => [
    await findDatabase(client, template),
    await findPlaces(client, fenced.instanceId),
  ]);
  refuseTombstone(places);
  if (places.live !== undefined) return true;
  if (source === undefined) return false;
  const making = makingName(fenced.instanceId, fenced.fence);
  await make(access, fenced, { template, finish: closeToPublic(making) });
  return true;
}

/**
 * CREATE under a name that holds the fence, then RENAME under the fence. A holder that lost the fence in between takes
 * its own database away again; what a killed one leaves, the next holder drops before it begins.
 */
async function make(
  access: ServerAccess,
  fenced: Fenced,
  how: { template?: string; fill?: (making: string) => Promise<void>; finish: readonly string[] },
): Promise<void> {
  const { database } = tenantNames(fenced.instanceId);
  const making = makingName(fenced.instanceId, fenced.fence);
  const applicationName = fencedApplicationName(fenced);
  await dropLeftovers(access, fenced);
  await createDatabase(access, making, { ...(how.template && { template: how.template }), applicationName });
  await how.fill?.(making);
  try {
    await withFence(access, fenced, { doing: 'name the new database' }, async (client) => {
      refuseTombstone(await findPlaces(client, fenced.instanceId));
      await batch(client, [
        ...how.finish,
        `ALTER DATABASE ${quoteIdentifier(making)} RENAME TO ${quoteIdentifier(database)}`,
      ]);
    });
  } catch (error) {
    if (error instanceof Failure && error.code === 'fenced') await dropDatabases(access, [making], { applicationName });
    throw error;
  }
}
