import type { ClientBase } from 'pg';
import { log } from './log.ts';

/** What Odoo's `neutralize` does to the tables of its base: mail servers and scheduled actions off, and the mark. */
export async function neutralize(client: ClientBase, database: string): Promise<void> {
  log('INFO', database, 'neutralize', `Starting ${database} database neutralization`);
  await client.query(`
    begin;
    update ir_mail_server set active = false;
    insert into ir_mail_server (name, smtp_port, smtp_host, smtp_encryption, active, smtp_authentication)
      values ('neutralization - disable emails', 1025, 'invalid', 'none', true, 'login');
    update ir_cron set active = false;
    insert into ir_config_parameter (key, value) values ('database.is_neutralized', 'true')
      on conflict (key) do update set value = 'true';
    commit`);
  log('INFO', database, 'neutralize', 'Neutralization finished');
}
