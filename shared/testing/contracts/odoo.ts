import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { templateBuildCommand } from '#shared/domain/odoo/template-build.ts';
import type { Image } from '#shared/sandbox/image.ts';
import { type ContainersIn, jsonRpc, type OdooSite, oldHash, openOdooSite, type Served } from './odoo-site.ts';

const build = (database: string, modules: readonly string[] = []) =>
  templateBuildCommand({ database, modules, language: 'en_US' });

/** What the platform holds an image of Odoo 19 to: the command line, odoo.conf, tables, files and pages it relies on. */
export function odooContract(name: string, open: () => Promise<Image>, containersIn?: ContainersIn): void {
  describe(`${name} as Odoo 19`, () => {
    let site: OdooSite;
    let built: { code: number | null; output: string };
    const served: Served[] = [];

    beforeAll(async () => {
      site = await openOdooSite(await open(), containersIn);
      await site.createDatabase('built');
      built = await site.run('built', build('built'));
    });
    afterEach(async () => {
      await Promise.all(served.splice(0).map((one) => one.stop()));
    });
    afterAll(() => site?.close());

    /** A clone of the built database, with an administrator of its own. */
    async function clone(database: string): Promise<void> {
      await site.createDatabase(database, 'built');
      const hash = oldHash('the new password');
      await site.sql(database, `update res_users set login = 'boss@example.com', password = '${hash}' where id = 2`);
    }
    async function serve(database: string, settings?: Record<string, string>): Promise<Served> {
      const one = await site.serve(database, settings);
      served.push(one);
      return one;
    }
    async function serveUntilHealthy(database: string, settings?: Record<string, string>): Promise<Served> {
      const one = await serve(database, settings);
      await vi.waitFor(async () => expect((await fetch(`${one.url}/web/health`)).status).toBe(200), {
        timeout: 60_000,
        interval: 50,
      });
      return one;
    }
    const login = (one: Served, path = '/web/login') => fetch(one.url + path, { redirect: 'manual' });
    const authenticate = (one: Served, database: string, user: string, password: string) =>
      jsonRpc(one.url, 'common', 'authenticate', [database, user, password, {}]);

    describe('the template command', () => {
      test('succeeds', () => {
        expect(built.code, built.output).toBe(0);
      });

      test.each(Object.entries(COLUMNS))('makes %s with the columns the platform touches', async (table, columns) => {
        const rows = await site.sql('built', columnsOf(table));
        expect(rows.map(({ column }) => column)).toEqual(expect.arrayContaining(columns));
      });

      test.each(UNIQUE)('keeps %s.%s unique', async (table, column) => {
        const [row] = await site.sql('built', `select * from ${table} limit 1`);
        const again = site.sql(
          'built',
          `insert into ${table} select * from ${table} where ${column} is not null limit 1`,
        );
        expect(row).toBeDefined();
        await expect(again).rejects.toThrow('duplicate key');
        const [found] = await site.sql('built', uniqueIndexesOf(table, column));
        expect(found).toEqual({ count: 1 });
      });

      test('makes the usual rows', async () => {
        const [admin] = await site.sql(
          'built',
          `select u.login, u.active, p.name, left(u.password, 22) as hash from res_users u
           join res_partner p on p.id = u.partner_id where u.id = 2`,
        );
        expect(admin).toEqual({ login: 'admin', active: true, name: 'Administrator', hash: '$pbkdf2-sha512$600000$' });
        const parameters = await site.sql('built', 'select key from ir_config_parameter order by key');
        expect(parameters.map(({ key }) => key)).toEqual(PARAMETERS);
        const modules = await site.sql(
          'built',
          `select name from ir_module_module where state = 'installed' order by name`,
        );
        expect(modules.map(({ name }) => name)).toEqual(MODULES);
      });

      test('keeps every attachment in the database, and no setting that would put later ones there', async () => {
        const [counts] = await site.sql(
          'built',
          `select count(*) > 0 as "hasAny", count(store_fname)::int as "inFiles",
             bool_and(length(db_datas) = file_size) as "isWhole" from ir_attachment where type = 'binary' and file_size > 0
             and url is null`,
        );
        expect(counts).toEqual({ hasAny: true, inFiles: 0, isWhole: true });
        expect(await site.sql('built', `select from ir_config_parameter where key like 'ir_attachment%'`)).toEqual([]);
      });

      test('ends the same when it is done again', async () => {
        expect(await site.run('built', build('built'))).toMatchObject({ code: 0 });
        expect(await site.sql('built', 'select from ir_attachment where store_fname is not null')).toEqual([]);
      });

      test('fails and names a module that does not exist', async () => {
        await site.createDatabase('unknown_module', 'built');
        const { code, output } = await site.run('unknown_module', build('unknown_module', ['no_such_module']));
        expect(code).not.toBe(0);
        expect(output).toContain('modules not installed: no_such_module');
      });

      test('fails on a database that does not exist', async () => {
        const { code } = await site.run('absent', build('absent'));
        expect(code).not.toBe(0);
      });
    });

    describe('a server on a clone', () => {
      test('answers health and login pages, only on the interface it was told, and ends on SIGTERM', async () => {
        await clone('pages');
        const one = await serveUntilHealthy('pages');
        expect(await (await fetch(`${one.url}/web/health`)).json()).toEqual({ status: 'pass' });
        const page = await login(one);
        expect(page.status).toBe(200);
        expect(await page.text()).toMatch(/name="password"/);
        await expect(fetch(`http://127.0.0.1:${one.port}/web/health`)).rejects.toThrow();
        expect(await one.stop()).toEqual({ code: 0, signal: null });
      });

      test('lets in who has the password of a pbkdf2_sha512 hash we wrote, and makes the hash stronger', async () => {
        await clone('passwords');
        const one = await serveUntilHealthy('passwords');
        expect(await authenticate(one, 'passwords', 'boss@example.com', 'wrong')).toBe(false);
        expect(await authenticate(one, 'passwords', 'boss@example.com', '')).toBe(false);
        expect(await authenticate(one, 'passwords', 'admin', 'admin')).toBe(false);
        expect(await authenticate(one, 'passwords', 'boss@example.com', 'the new password')).toBe(2);
        const [user] = await site.sql('passwords', 'select left(password, 22) as hash from res_users where id = 2');
        expect(user).toEqual({ hash: '$pbkdf2-sha512$600000$' });
        expect(await authenticate(one, 'passwords', 'boss@example.com', 'the new password')).toBe(2);
        expect(await authenticate(one, 'passwords', 'boss@example.com', 'the new passwore')).toBe(false);
      });

      test('tells its superuser, once he has a password, how many records there are, archived ones included', async () => {
        await clone('counted');
        const hash = oldHash('of the superuser');
        await site.sql('counted', `update res_users set active = true, password = '${hash}' where id = 1`);
        await site.sql('counted', 'update res_partner set active = false where id = (select max(id) from res_partner)');
        const one = await serveUntilHealthy('counted');
        const count = (password: string) =>
          jsonRpc(one.url, 'object', 'execute_kw', [
            ...['counted', 1, password, 'res.partner', 'search_count', [[]]],
            { context: { active_test: false } },
          ]);
        const [row] = await site.sql('counted', 'select count(*)::int as count from res_partner');
        expect(await count('of the superuser')).toBe(row?.['count']);
        expect(await count('of somebody else')).toBe('odoo.exceptions.AccessDenied');
      });

      test('closes the database manager, and offers no other database', async () => {
        await clone('closed');
        const one = await serveUntilHealthy('closed');
        const manager = await fetch(`${one.url}/web/database/manager`);
        expect(await manager.text()).toContain('has been disabled by the administrator');
        expect(await jsonRpc(one.url, 'db', 'list', [])).toBe('odoo.exceptions.AccessDenied');
        expect((await login(one, '/web/login?db=built')).status).toBe(200);
      });

      test('goes on after its database was renamed, with a new odoo.conf', async () => {
        await clone('before');
        const old = await serveUntilHealthy('before');
        expect((await login(old)).status).toBe(200);
        await old.stop();
        await site.sql('postgres', 'alter database before rename to after');
        const one = await serveUntilHealthy('after');
        expect((await login(one)).status).toBe(200);
        expect(await authenticate(one, 'after', 'boss@example.com', 'the new password')).toBe(2);
      });

      // the reason why our odoo.conf has an empty dbfilter
      test('finds no database through a dbfilter when another role owns it', async () => {
        await clone('filtered');
        const one = await serveUntilHealthy('filtered', { dbfilter: '^filtered$' });
        const page = await login(one);
        expect([page.status, page.headers.get('location')]).toEqual([303, '/web/database/selector']);
      });

      test.each([
        ['1', ['postgres', 'sessions']],
        ['0', ['sessions']],
      ])('with %s cron threads it keeps sessions in %j', async (threads, expected) => {
        const database = `sessions_${threads}`;
        await clone(database);
        const one = await serveUntilHealthy(database, { max_cron_threads: threads });
        await login(one);
        await vi.waitFor(
          async () => {
            const rows = await site.sql(
              'postgres',
              `select distinct datname from pg_stat_activity where usename = 'tenant' and application_name like 'odoo-%'`,
            );
            expect(rows.map(({ datname }) => String(datname).replace(/_\d$/, '')).sort()).toEqual(expected);
          },
          { timeout: 10_000 },
        );
      });

      test('does not start without CONNECT on the database postgres', async () => {
        await clone('no_system');
        await site.sql('postgres', 'revoke connect on database postgres from public');
        try {
          const { code } = await (await serve('no_system')).exited;
          expect(code).not.toBe(0);
        } finally {
          await site.sql('postgres', 'grant connect on database postgres to public');
        }
      });
    });
  });
}

const columnsOf = (table: string) => `
  select column_name || ' ' || data_type || case is_nullable when 'NO' then ' not null' else '' end as "column"
  from information_schema.columns where table_schema = 'public' and table_name = '${table}'`;

const uniqueIndexesOf = (table: string, column: string) => `
  select count(*)::int as count from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
  where i.indrelid = '${table}'::regclass and i.indisunique and i.indnatts = 1 and a.attname = '${column}'`;

const list = (text: string) => text.split(/,\s+/);
const dates = 'create_date timestamp without time zone, write_date timestamp without time zone';
const text = 'character varying';

/** Read or written by the platform, by `domain/odoo` and the adapters. */
const COLUMNS: Record<string, string[]> = {
  res_users:
    list(`id integer not null, login ${text} not null, password ${text}, active boolean, partner_id integer not null,
    company_id integer not null, share boolean, totp_secret ${text}, ${dates}`),
  res_partner: list(`id integer not null, name ${text}, email ${text}, active boolean, ${dates}`),
  res_company: list(`id integer not null, name ${text} not null, partner_id integer not null, email ${text}`),
  ir_config_parameter: list(`id integer not null, key ${text} not null, value text not null, create_uid integer,
    write_uid integer, ${dates}`),
  ir_module_module: list(`id integer not null, name ${text} not null, state ${text}, latest_version ${text}`),
  ir_attachment: list(`id integer not null, name ${text} not null, type ${text} not null, res_model ${text},
    res_field ${text}, res_id integer, store_fname ${text}, db_datas bytea, file_size integer, checksum ${text},
    mimetype ${text}, url ${text}, public boolean`),
  ir_cron: list(`id integer not null, cron_name ${text}, active boolean, nextcall timestamp without time zone not null,
    lastcall timestamp without time zone, failure_count integer, user_id integer not null`),
  ir_mail_server: list(`id integer not null, active boolean, smtp_user ${text}, smtp_pass ${text}`),
  res_lang: list(`id integer not null, code ${text} not null, active boolean`),
};

const UNIQUE = [
  ['res_users', 'login'],
  ['ir_config_parameter', 'key'],
  ['ir_module_module', 'name'],
] as const;

const PARAMETERS = list(`base.default_max_email_size, base.login_cooldown_after, base.login_cooldown_duration,
  base.template_portal_user_id, base_setup.show_effect, database.create_date, database.secret, database.uuid, web.base.url`);

const MODULES =
  list(`api_doc, auth_passkey, auth_totp, base, base_import, base_import_module, base_setup, bus, html_editor,
  iap, rpc, web, web_tour, web_unsplash`);
