import { initialiseCommand } from './initialise-command.ts';

/**
 * The command of the Job that makes a template database, for a container of the Odoo image: installs `base` and the given
 * modules, then moves every attachment into the database, so that a clone needs no file of the template.
 * The connection comes from the mounted odoo.conf; no secret is in the command. Done twice it ends the same.
 * It fails, with the reason as its last line, when a module was not installed (`--init` only warns about a name it does not know)
 * or when an attachment is still a file.
 * @throws Error for a name that could not be a module's: it would become part of a program.
 */
export function templateBuildCommand(options: {
  database: string;
  modules: readonly string[];
  language: string;
}): readonly string[] {
  return [
    '/bin/sh',
    '-ec',
    shellText(options.modules),
    'template-build',
    options.database,
    ...initialiseCommand(options),
  ];
}

/**
 * What `odoo shell` reads on its standard input. `ir_attachment.location` says where new attachments go: it is set for
 * `force_storage` and taken away again, so that an instance keeps its own attachments as files.
 */
export function templateShellScript(modules: readonly string[]): string {
  const wanted = [...new Set(['base', ...modules])].map(moduleName).map((name) => `'${name}'`);
  return `wanted = {${wanted.join(', ')}}
installed = env['ir.module.module'].search([('state', '=', 'installed')]).mapped('name')
missing = sorted(wanted.difference(installed))
if missing:
    raise SystemExit('modules not installed: ' + ', '.join(missing))
parameters = env['ir.config_parameter']
parameters.set_param('ir_attachment.location', 'db')
env['ir.attachment'].force_storage()
parameters.set_param('ir_attachment.location', False)
env.flush_all()
env.cr.execute('SELECT count(*) FROM ir_attachment WHERE store_fname IS NOT NULL')
left = env.cr.fetchone()[0]
if left:
    raise SystemExit('attachments still in files: %d' % left)
env.cr.commit()
`;
}

function shellText(modules: readonly string[]): string {
  return `database=$1
shift
"$@"
exec odoo shell --config=/etc/odoo/odoo.conf --data-dir=/var/lib/odoo --database="$database" --no-http <<'END'
${templateShellScript(modules)}END
`;
}

function moduleName(name: string): string {
  if (!/^[a-z][a-z0-9_]*$/i.test(name)) throw new Error(`not a module name: ${JSON.stringify(name)}`);
  return name;
}
