import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase } from 'pg';
import { templateShellScript } from '#shared/domain/odoo/template-build.ts';
import type { Options } from './options.ts';

/**
 * `odoo shell`: there is no Python here. The one script that is understood is the template build's; its effect is done in SQL.
 * @throws Error for any other script, and where the script itself would fail.
 */
export async function runShell(client: ClientBase, script: string, options: Options): Promise<void> {
  const named = /^wanted = \{(.*)\}$/m.exec(script)?.[1] ?? '';
  const wanted = [...named.matchAll(/'(\w+)'/g)].map(([, name = '']) => name);
  if (script !== templateShellScript(wanted))
    throw new Error('the stand-in runs only the script of the template build');
  const { rows } = await client.query<{ name: string }>(
    `select name from unnest($1::varchar[]) as given (name)
     where not exists (select from ir_module_module as m where m.name = given.name and m.state = 'installed') order by name`,
    [wanted],
  );
  if (rows.length > 0) throw new Error(`modules not installed: ${rows.map(({ name }) => name).join(', ')}`);
  await moveAttachments(client, join(options.dataFolder, 'filestore', options.database ?? ''));
}

async function moveAttachments(client: ClientBase, filestore: string): Promise<void> {
  const { rows } = await client.query<{ id: number; store_fname: string }>(
    'select id, store_fname from ir_attachment where store_fname is not null',
  );
  await client.query('begin');
  for (const { id, store_fname } of rows) {
    await client.query('update ir_attachment set db_datas = $1, store_fname = null where id = $2', [
      await readFile(join(filestore, store_fname)),
      id,
    ]);
  }
  await client.query(`delete from ir_config_parameter where key = 'ir_attachment.location'`);
  await client.query('commit');
}
