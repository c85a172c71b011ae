/**
 * The command that installs `base` and the given modules into an empty database, in a container of the Odoo image.
 * The connection comes from the mounted odoo.conf, so no secret is in it. `--without-demo=all` is understood by every
 * version; from 19 it is the default.
 */
export function initialiseCommand(options: {
  database: string;
  modules: readonly string[];
  language: string;
}): readonly string[] {
  return [
    'odoo',
    '--config=/etc/odoo/odoo.conf',
    '--data-dir=/var/lib/odoo',
    `--database=${options.database}`,
    `--init=${['base', ...options.modules].join(',')}`,
    ...(options.language === 'en_US' ? [] : [`--load-language=${options.language}`]),
    '--without-demo=all',
    '--no-http',
    '--stop-after-init',
  ];
}
