import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildTemplate,
  fencedBy,
  odooTables,
  personalOf,
  someInstance,
  someTemplate,
  startTestServer,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';

describe.each(['system', 'embedded'] as const)('warm databases on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let servers: OdooServers;

  beforeAll(async () => {
    on = await startTestServer(version);
    servers = on.open();
  });
  afterAll(() => on.stop());

  const surveyOf = async (digest: string) =>
    (await servers.warm.survey(on.server)).find((one) => one.digest === digest);
  const database = (name: string) =>
    on.query<object>(
      `SELECT datistemplate, datallowconn, pg_get_userbyid(datdba) AS owner,
         has_database_privilege('public', oid, 'CONNECT') OR has_database_privilege('public', oid, 'TEMPORARY') AS open
       FROM pg_database WHERE datname = '${name}'`,
    );

  test('a template is built, finished and cloned, and every call may be made twice', async () => {
    const template = someTemplate();
    const { digest } = template;
    const password = 'password-of-the-build';
    expect(await surveyOf(digest)).toBeUndefined();
    await servers.warm.beginTemplate(on.server, template, { password: 'an older one' });
    const build = await servers.warm.beginTemplate(on.server, template, { password });
    expect(build).toEqual({ database: `building_${digest}`, role: `build_${digest}` });
    expect(await surveyOf(digest)).toEqual({ digest, template: 'building', warm: 0 });
    expect(await servers.warm.refill(on.server, template, { target: 2, atMost: 2 })).toBe(0);
    await on.query(odooTables, { database: build.database, user: build.role, password });
    const extensions = await on.query('SELECT extname FROM pg_extension ORDER BY 1', { database: build.database });
    expect(extensions).toEqual([{ extname: 'pg_trgm' }, { extname: 'plpgsql' }, { extname: 'unaccent' }]);

    await Promise.all([
      servers.warm.finishTemplate(on.server, template),
      on.open().warm.finishTemplate(on.server, template),
    ]);
    await servers.warm.finishTemplate(on.server, template);
    expect(await surveyOf(digest)).toEqual({ digest, template: 'ready', warm: 0 });
    expect(await database(`template_${digest}`)).toEqual([
      { datistemplate: true, datallowconn: false, owner: 'fleet_admin', open: false },
    ]);
    expect(await on.query(`SELECT 1 AS one FROM pg_roles WHERE rolname = 'build_${digest}'`)).toEqual([]);
    await expect(servers.warm.beginTemplate(on.server, template, { password })).rejects.toMatchObject({
      code: 'conflict',
    });

    expect(await servers.warm.refill(on.server, template, { target: 3, atMost: 2 })).toBe(2);
    expect(await servers.warm.refill(on.server, template, { target: 3, atMost: 2 })).toBe(1);
    expect(await servers.warm.refill(on.server, template, { target: 3, atMost: 2 })).toBe(0);
    expect(await surveyOf(digest)).toEqual({ digest, template: 'ready', warm: 3 });
    const [warm] = await on.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE datname LIKE 'warm\\_${digest}\\_%'`,
    );
    expect(await database(warm?.name ?? '')).toEqual([
      { datistemplate: false, datallowconn: true, owner: 'fleet_admin', open: false },
    ]);
    const owners = await on.query(
      "SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace",
      { database: warm?.name ?? '' },
    );
    expect(owners).toEqual([{ owner: 'fleet_template_objects' }]);
  });

  test('a finish that stopped half way is finished by the next', async () => {
    const template = someTemplate();
    const password = 'password-of-the-build';
    const { database: building, role } = await servers.warm.beginTemplate(on.server, template, { password });
    await on.query(odooTables, { database: building, user: role, password });
    // the part inside is committed, the part outside is not
    await on.query(`REASSIGN OWNED BY ${role} TO fleet_template_objects; DROP OWNED BY ${role}`, {
      database: building,
    });
    await servers.warm.finishTemplate(on.server, template);
    expect(await surveyOf(template.digest)).toMatchObject({ template: 'ready' });
  });

  test('a build without base, or with attachments in the files of its Job, is no template', async () => {
    const template = someTemplate();
    const password = 'password-of-the-build';
    await expect(servers.warm.finishTemplate(on.server, template)).rejects.toMatchObject({ code: 'job-failed' });
    const build = await servers.warm.beginTemplate(on.server, template, { password });
    const as = { database: build.database, user: build.role, password };
    await expect(servers.warm.finishTemplate(on.server, template)).rejects.toMatchObject({ code: 'job-failed' });
    await on.query(`${odooTables}; UPDATE ir_attachment SET store_fname = 'ab/abcdef'`, as);
    await expect(servers.warm.finishTemplate(on.server, template)).rejects.toThrow(/1 attachments .* force_storage/);
    await on.query('UPDATE ir_attachment SET store_fname = NULL', as);
    await servers.warm.finishTemplate(on.server, template);
  });

  test('a build that begins again begins from nothing, but not under a running one', async () => {
    const template = someTemplate();
    const password = 'password-of-the-build';
    const build = await servers.warm.beginTemplate(on.server, template, { password });
    const as = { database: build.database, user: build.role, password };
    await on.query('CREATE TABLE ir_module_module (name varchar, state varchar)', as);
    const running = on.query('SELECT pg_sleep(30)', as).catch(() => undefined);
    const inside = () => on.query(`SELECT pid FROM pg_stat_activity WHERE datname = '${build.database}'`);
    await expect.poll(inside, { timeout: 15_000 }).toHaveLength(1);
    await expect(servers.warm.beginTemplate(on.server, template, { password: 'new' })).rejects.toMatchObject({
      code: 'conflict',
    });
    // the running build keeps its password: the refused call changed nothing
    expect(await on.query("SELECT to_regclass('ir_module_module') IS NULL AS gone", as)).toEqual([{ gone: false }]);
    await on.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${build.database}'`);
    await running;
    await servers.warm.beginTemplate(on.server, template, { password });
    expect(await on.query("SELECT to_regclass('ir_module_module') IS NULL AS gone", as)).toEqual([{ gone: true }]);
    expect(await on.query("SELECT datname FROM pg_database WHERE datname LIKE 'trash%'")).toEqual([]);
  });

  test('a retired build leaves nothing, may be retired again, and can begin anew', async () => {
    const template = someTemplate();
    const options = { password: 'password-of-the-build' };
    const build = await servers.warm.beginTemplate(on.server, template, options);
    await on.query('CREATE TABLE garbage ()', { database: build.database, user: build.role, ...options });
    await servers.warm.retireTemplate(on.server, template.digest);
    await servers.warm.retireTemplate(on.server, template.digest);
    const left = `SELECT datname AS name FROM pg_database WHERE datname ~ '${template.digest}' UNION ALL
      SELECT rolname FROM pg_roles WHERE rolname ~ '${template.digest}'`;
    expect(await on.query(left)).toEqual([]);
    await buildTemplate(on, servers, template);
    expect(await surveyOf(template.digest)).toMatchObject({ template: 'ready' });
  });

  test('a template that nobody wishes for goes with its clones, while another one stays', async () => {
    const [old, kept] = [someTemplate(), someTemplate()];
    for (const template of [old, kept]) {
      await buildTemplate(on, servers, template);
      await servers.warm.refill(on.server, template, { target: 2, atMost: 2 });
    }
    await servers.warm.retireTemplate(on.server, old.digest);
    await servers.warm.retireTemplate(on.server, old.digest);
    expect(await surveyOf(old.digest)).toBeUndefined();
    expect(await on.query(`SELECT datname FROM pg_database WHERE datname LIKE '%${old.digest}%'`)).toEqual([]);
    expect(await surveyOf(kept.digest)).toMatchObject({ template: 'ready', warm: 2 });
  });

  test('four refills at once make no clone too many and clear away what a killed one left', async () => {
    const template = someTemplate();
    await buildTemplate(on, servers, template);
    await on.query(`CREATE DATABASE filling_${template.digest}_0123abcd OWNER fleet_admin`);
    const processes = [servers, on.open(), on.open(), on.open()];
    // who waits for the others longer than 3 s says so, and tries again with the next tick
    const refill = (one: OdooServers, tries = 5): Promise<number> =>
      one.warm.refill(on.server, template, { target: 5, atMost: 5 }).catch((error: { code: string }) => {
        if (error.code !== 'conflict' || tries === 1) throw error;
        return refill(one, tries - 1);
      });
    await Promise.all(processes.map((one) => refill(one)));
    expect(await surveyOf(template.digest)).toMatchObject({ warm: 5 });
    expect(await on.query("SELECT 1 AS one FROM pg_database WHERE datname LIKE 'filling%'")).toEqual([]);
  });

  test('eight claims at once for five clones: five get one each, three are told there is none', async () => {
    const template = someTemplate();
    await buildTemplate(on, servers, template);
    await servers.warm.refill(on.server, template, { target: 5, atMost: 5 });
    const instances = Array.from({ length: 8 }, someInstance);
    const processes = [servers, on.open(), on.open()];
    const claims = await Promise.all(
      instances.map((instance, index) =>
        (processes[index % 3] ?? servers).databases.claimWarm(on.server, fencedBy(instance, 1), template),
      ),
    );
    expect(claims.filter((claimed) => claimed)).toHaveLength(5);
    const looks = await Promise.all(instances.map(({ id }) => servers.databases.lookDatabase(on.server, id)));
    expect(looks).toEqual(claims.map((claimed) => (claimed ? 'initialised' : 'absent')));
    expect(await surveyOf(template.digest)).toMatchObject({ warm: 0 });
  });

  test('a clone with a session in it is passed over', async () => {
    const template = someTemplate();
    await buildTemplate(on, servers, template);
    await servers.warm.refill(on.server, template, { target: 2, atMost: 2 });
    const [busy] = await on.query<{ name: string }>(
      `SELECT datname AS name FROM pg_database WHERE datname LIKE 'warm\\_${template.digest}\\_%' LIMIT 1`,
    );
    const sleeping = on.query('SELECT pg_sleep(30)', { database: busy?.name ?? '' }).catch(() => undefined);
    await expect
      .poll(() => on.query(`SELECT pid FROM pg_stat_activity WHERE datname = '${busy?.name}'`), { timeout: 15_000 })
      .toHaveLength(1);
    expect(await servers.databases.claimWarm(on.server, fencedBy(someInstance(), 1), template)).toBe(true);
    expect(await servers.databases.claimWarm(on.server, fencedBy(someInstance(), 1), template)).toBe(false);
    expect(await surveyOf(template.digest)).toMatchObject({ warm: 1 });
    await on.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${busy?.name}'`);
    await sleeping;
  });

  test('without clone and without template nothing is claimed and nothing is left', async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    expect(await servers.databases.claimWarm(on.server, fenced, someTemplate())).toBe(false);
    expect(await servers.databases.cloneTemplate(on.server, fenced, someTemplate())).toBe(false);
    expect(await servers.databases.lookDatabase(on.server, instance.id)).toBe('absent');
  });

  test('a claim and a personalisation leave no connection in the tenant database', async () => {
    const template = someTemplate();
    await buildTemplate(on, servers, template);
    await servers.warm.refill(on.server, template, { target: 1, atMost: 1 });
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    await servers.databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit: 5 });
    await servers.databases.claimWarm(on.server, fenced, template);
    await servers.databases.personalise(on.server, fenced, personalOf(instance));
    await expect
      .poll(() => on.query(`SELECT pid FROM pg_stat_activity WHERE datname = 'odoo_${instance.id}'`), {
        timeout: 15_000,
      })
      .toEqual([]);
    expect(servers.stats()[on.server.id]).toMatchObject({ waiting: 0, unpooled: 0, unpooledWaiting: 0 });
  });
});
