/**
 * The command, of Odoo 16 and later, that runs the `neutralize.sql` of every installed module that the image has, in a container
 * of it. It starts no server, runs no scheduled action and loads no module. The connection comes from the mounted odoo.conf.
 */
export function neutralizeCommand(database: string): readonly string[] {
  return [
    'odoo',
    'neutralize',
    '--config=/etc/odoo/odoo.conf',
    '--data-dir=/var/lib/odoo',
    `--database=${database}`,
    '--no-http',
  ];
}
