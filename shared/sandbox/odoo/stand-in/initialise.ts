import { createHash, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ClientBase } from 'pg';
import { log } from './log.ts';
import type { Options } from './options.ts';
import { hashPassword } from './passwords.ts';
import { INSTALLED_WITH_BASE, OTHER_MODULES, SCHEMA } from './schema.ts';

/** Is Odoo's `base` in this database? */
export async function isInitialised(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query(`select to_regclass('ir_module_module') is not null as found`);
  return rows[0]?.found === true;
}

/** What `--init` does: tables and rows where they are missing, then the named modules, all in one transaction. */
export async function initialise(client: ClientBase, database: string, options: Options): Promise<void> {
  await client.query('begin');
  if (!(await isInitialised(client))) {
    log('INFO', database, 'loading', `Initializing database ${database}`);
    await client.query(SCHEMA);
    await insertRows(client, options);
    await insertAttachments(client, join(options.dataFolder, 'filestore', database));
  }
  await installModules(client, database, options.init);
  for (const code of options.languages) {
    await client.query(
      `insert into res_lang (name, code, iso_code, url_code, direction, active) values ($1, $1, $1, $1, 'ltr', true)
       on conflict (code) do update set active = true`,
      [code],
    );
  }
  await client.query('commit');
  log('INFO', database, 'loading', 'Modules loaded.');
}

async function insertRows(client: ClientBase, options: Options): Promise<void> {
  await client.query(`
    insert into res_currency (name, symbol, active) values ('USD', '$', true);
    insert into res_lang (name, code, iso_code, url_code, direction, active)
      values ('English (US)', 'en_US', 'en', 'en', 'ltr', true);
    insert into res_partner (name, complete_name, email, active, is_company, lang, type) values
      ('My Company', 'My Company', null, true, true, 'en_US', 'contact'),
      ('System', 'System', 'odoobot@example.com', false, false, 'en_US', 'contact'),
      ('Administrator', 'Administrator', null, true, false, 'en_US', 'contact'),
      ('Public user', 'Public user', null, false, false, 'en_US', 'contact'),
      ('Portal User Template', 'Portal User Template', null, false, false, 'en_US', 'contact');
    insert into res_company (name, partner_id, currency_id, sequence, active) values ('My Company', 1, 1, 0, true);
    insert into res_users (company_id, partner_id, active, login, share) values
      (1, 2, false, '__system__', false), (1, 3, true, 'admin', false), (1, 4, false, 'public', true),
      (1, 5, true, 'portaltemplate', true);
    insert into res_users_settings (user_id) values (2);
    insert into ir_cron (ir_actions_server_id, user_id, interval_number, priority, cron_name, interval_type, active, nextcall)
      values (1, 1, 1, 3, 'Base: Auto-vacuum internal data', 'days', true, now() at time zone 'UTC'),
             (2, 1, 1, 5, 'Base: Portal Users Deletion', 'days', true, now() at time zone 'UTC');
    update res_users set create_date = now() at time zone 'UTC', write_date = now() at time zone 'UTC'`);
  await client.query('update res_users set password = $1 where id = 2', [await hashPassword('admin')]);
  const parameters = {
    'base.default_max_email_size': '10',
    'base.login_cooldown_after': '10',
    'base.login_cooldown_duration': '60',
    'base.template_portal_user_id': '4',
    'base_setup.show_effect': 'True',
    'database.create_date': new Date().toISOString().slice(0, 19).replace('T', ' '),
    'database.secret': randomUUID(),
    'database.uuid': randomUUID(),
    'web.base.url': `http://localhost:${options.httpPort}`,
  };
  await client.query(
    `insert into ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)
     select key, value, 1, 1, now() at time zone 'UTC', now() at time zone 'UTC'
     from unnest($1::varchar[], $2::text[]) as given (key, value)`,
    [Object.keys(parameters), Object.values(parameters)],
  );
}

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** As Odoo stores them: a file under its SHA-1, in a folder of the first two characters; and one that is only an address. */
async function insertAttachments(client: ClientBase, filestore: string): Promise<void> {
  const checksum = createHash('sha1').update(PIXEL).digest('hex');
  const name = `${checksum.slice(0, 2)}/${checksum}`;
  const file = join(filestore, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, PIXEL);
  await client.query(
    `insert into ir_attachment (name, res_model, res_field, res_id, type, mimetype, store_fname, checksum, file_size)
     values ('image_128', 'res.partner', 'image_128', 1, 'binary', 'image/png', $1, $2, $3),
            ('flag_image', 'res.lang', 'flag_image', 1, 'binary', 'image/png', $1, $2, $3)`,
    [name, checksum, PIXEL.length],
  );
  await client.query(
    `insert into ir_attachment (name, type, mimetype, url, public)
     values ('placeholder.png', 'url', 'image/png', '/web/static/img/placeholder.png', true)`,
  );
}

async function installModules(client: ClientBase, database: string, wanted: readonly string[]): Promise<void> {
  const known = new Set([...INSTALLED_WITH_BASE, ...OTHER_MODULES]);
  const unknown = wanted.filter((name) => !known.has(name));
  if (unknown.length > 0) log('WARNING', database, 'loading', `invalid module names, ignored: ${unknown.join(', ')}`);
  const installed = [...INSTALLED_WITH_BASE, ...wanted.filter((name) => known.has(name))];
  await client.query(
    `insert into ir_module_module (name, state) select unnest($1::varchar[]), 'uninstalled' on conflict (name) do nothing`,
    [[...known]],
  );
  await client.query(
    `update ir_module_module set state = 'installed', latest_version = '19.0.1.3', write_date = now() at time zone 'UTC'
     where name = any($1) and state <> 'installed'`,
    [installed],
  );
}
