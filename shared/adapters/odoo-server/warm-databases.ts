import { randomBytes } from 'node:crypto';
import type { PoolClient } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { TemplateKey, WarmDatabases } from '#shared/domain/instance/ports.ts';
import { createDatabase, dropDatabases, findDatabase, listDatabases } from './databases.ts';
import { templateNames, trashName } from './object-names.ts';
import { closeToPublic } from './ownership.ts';
import { quoteIdentifier } from './quote.ts';
import { ensureRole } from './roles.ts';
import { scramVerifier } from './scram.ts';
import type { ServerAccess } from './server-access.ts';
import { finishBuild, prepareBuild } from './template-build.ts';
import { lookInside } from './tenant-schema.ts';
import { batch, inTransaction } from './transaction.ts';

/** First key of the advisory locks on templates. */
const templateLockClass = 0x74706c;

const applicationName = (digest: string) => `fleet-template:${digest}`;
const randomSuffix = () => randomBytes(4).toString('hex');

/** The port on one server per call; `reach` gives a server that is prepared. */
export function warmDatabases(reach: (server: DatabaseServer) => Promise<ServerAccess>): WarmDatabases {
  return {
    survey: async (server) => survey(await reach(server)),
    beginTemplate: async (server, template, options) => beginTemplate(await reach(server), template, options),
    finishTemplate: async (server, template) => finishTemplate(await reach(server), template),
    retireTemplate: async (server, digest) => retireTemplate(await reach(server), digest),
    refill: async (server, template, options) => refill(await reach(server), template, options),
  };
}

/**
 * Work on one template, in a transaction that keeps every other away from it. No fence: templates belong to nobody's
 * operation, and each step is safe to do twice.
 * @throws Failure `conflict` when somebody else is at it for longer than the lock timeout.
 */
function withTemplateLock<T>(
  access: ServerAccess,
  digest: string,
  options: { doing: string },
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const lock = `SELECT pg_advisory_xact_lock(${templateLockClass}, hashtext('${templateNames(digest).template}'))`;
  return access.control(options.doing, (client) =>
    inTransaction(client, { applicationName: applicationName(digest), first: [lock] }, () => work(client)),
  );
}

async function survey(access: ServerAccess) {
  const names = await access.control('survey the warm databases', async (client) => [
    ...(await listDatabases(client, 'template_')),
    ...(await listDatabases(client, 'building_')),
    ...(await listDatabases(client, 'warm_')),
  ]);
  type Entry = { digest: string; template: 'absent' | 'building' | 'ready'; warm: number };
  const byDigest = new Map<string, Entry>();
  for (const name of names) {
    const [, kind, digest] = /^(template|building|warm)_([0-9a-f]{12})(?:_[0-9a-f]{8})?$/.exec(name) ?? [];
    if (kind === undefined || digest === undefined) continue;
    const entry = byDigest.get(digest) ?? { digest, template: 'absent', warm: 0 };
    if (kind === 'template') entry.template = 'ready';
    if (kind === 'building' && entry.template === 'absent') entry.template = 'building';
    if (kind === 'warm') entry.warm += 1;
    byDigest.set(digest, entry);
  }
  return [...byDigest.values()];
}

async function beginTemplate(access: ServerAccess, template: TemplateKey, options: { password: string }) {
  const { digest } = template;
  const { building, buildRole, template: ready } = templateNames(digest);
  const verifier = await scramVerifier(options.password);
  await withTemplateLock(access, digest, { doing: 'create the build role' }, async (client) => {
    if ((await findDatabase(client, ready)) !== undefined) {
      throw new Failure('conflict', `${ready} is ready already; survey again`);
    }
    await ensureRole(client, buildRole, { login: true, verifier, connectionLimit: -1 });
    // Odoo cannot continue a broken build. RENAME refuses while a Job is still at it.
    if (await holdsSomething(access, client, building)) await moveAside(client, building);
  });
  await dropMovedAside(access, digest);
  // the role is committed: the session inside the new database must see it
  await withTemplateLock(access, digest, { doing: 'create the template' }, async (client) => {
    if ((await findDatabase(client, building)) === undefined) {
      await createDatabase(access, building, { applicationName: applicationName(digest) });
    }
    await prepareBuild(access, { building, buildRole });
  });
  return { database: building, role: buildRole };
}

async function holdsSomething(access: ServerAccess, client: PoolClient, building: string): Promise<boolean> {
  if ((await findDatabase(client, building)) === undefined) return false;
  const inside = await access.unpooled('look into the template', { database: building }, lookInside);
  return inside.relations > 0;
}

async function moveAside(client: PoolClient, name: string): Promise<string> {
  const trash = trashName(name, randomSuffix());
  await batch(client, [
    `ALTER DATABASE ${quoteIdentifier(name)} RENAME TO ${quoteIdentifier(trash)}`,
    `ALTER DATABASE ${quoteIdentifier(trash)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE false`,
  ]);
  return trash;
}

async function dropMovedAside(access: ServerAccess, digest: string): Promise<void> {
  const prefix = trashName(templateNames(digest).building, '');
  const found = await access.control('look for leftovers', (client) => listDatabases(client, prefix));
  await dropDatabases(access, found, { applicationName: applicationName(digest) });
}

async function finishTemplate(access: ServerAccess, template: TemplateKey): Promise<void> {
  const { building, buildRole, template: ready } = templateNames(template.digest);
  await withTemplateLock(access, template.digest, { doing: 'finish the template' }, async (client) => {
    if ((await findDatabase(client, ready)) !== undefined) return;
    const found = await findDatabase(client, building);
    if (found === undefined) throw new Failure('job-failed', `There is no database ${building} to finish`);
    await finishBuild(access, { building, buildRole });
    // one transaction: a template that bears its final name is closed, and its builder is gone
    await batch(client, [
      `ALTER DATABASE ${quoteIdentifier(building)} RENAME TO ${quoteIdentifier(ready)}`,
      `ALTER DATABASE ${quoteIdentifier(ready)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true`,
      `DROP ROLE IF EXISTS ${quoteIdentifier(buildRole)}`,
    ]);
  });
}

/** Everything of a digest goes: the build, the template, the clones, the role. A session in one of them holds it up. */
async function retireTemplate(access: ServerAccess, digest: string): Promise<void> {
  const { building, buildRole, template, warmPrefix, fillingPrefix } = templateNames(digest);
  const moved = await withTemplateLock(access, digest, { doing: 'retire the template' }, async (client) => {
    const clones = [...(await listDatabases(client, warmPrefix)), ...(await listDatabases(client, fillingPrefix))];
    const unwanted: string[] = [];
    for (const name of [building, template, ...clones]) {
      if ((await findDatabase(client, name)) !== undefined) unwanted.push(await moveAside(client, name));
    }
    return unwanted;
  });
  await dropDatabases(access, moved, { applicationName: applicationName(digest) });
  await withTemplateLock(access, digest, { doing: 'drop the build role' }, async (client) => {
    // a build that began again in between has the role in use
    if ((await findDatabase(client, building)) !== undefined) return;
    await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(buildRole)}`);
  });
}

async function refill(access: ServerAccess, template: TemplateKey, options: { target: number; atMost: number }) {
  let made = 0;
  while (made < options.atMost && (await addOne(access, template.digest, options.target))) made += 1;
  return made;
}

/**
 * One clone per transaction, counted under the lock: two refills at once take turns and never make more than `target`.
 * The clone bears the name that can be claimed only once PUBLIC is shut out: a tenant's session in it would hold
 * up the claim, and could read it.
 */
function addOne(access: ServerAccess, digest: string, target: number): Promise<boolean> {
  const names = templateNames(digest);
  const suffix = randomSuffix();
  const filling = `${names.fillingPrefix}${suffix}`;
  return withTemplateLock(access, digest, { doing: 'refill the warm databases' }, async (client) => {
    // whoever made these is gone, for he had this lock
    const leftovers = await listDatabases(client, names.fillingPrefix);
    await dropDatabases(access, leftovers, { applicationName: applicationName(digest) });
    if ((await findDatabase(client, names.template)) === undefined) return false;
    if ((await listDatabases(client, names.warmPrefix)).length >= target) return false;
    await createDatabase(access, filling, { template: names.template, applicationName: applicationName(digest) });
    await batch(client, [
      ...closeToPublic(filling),
      `ALTER DATABASE ${quoteIdentifier(filling)} RENAME TO ${quoteIdentifier(`${names.warmPrefix}${suffix}`)}`,
    ]);
    return true;
  });
}
