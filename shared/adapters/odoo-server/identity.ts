import { quoteLiteral } from './quote.ts';

/** Odoo's columns are timestamps without time zone, in UTC. */
export const nowUtc = "(now() AT TIME ZONE 'UTC')";

/**
 * Odoo's own list of what two databases must not share (`ir.config_parameter.init(force=True)`), and the address.
 * The server makes the random values, so that they are in no statement: gen_random_uuid is cryptographic.
 */
export function identityStatements(baseUrl: string): string[] {
  const set = (key: string, value: string) => `(${quoteLiteral(key)}, ${value}, 1, 1, ${nowUtc}, ${nowUtc})`;
  const values = [
    set('database.uuid', 'gen_random_uuid()::text'),
    set('database.secret', "replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"),
    set('database.create_date', `to_char(${nowUtc}, 'YYYY-MM-DD HH24:MI:SS')`),
    set('web.base.url', quoteLiteral(baseUrl)),
    // else the first administrator to log in over another address would change it
    set('web.base.url.freeze', "'True'"),
  ];
  return [
    `INSERT INTO public.ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)
     VALUES ${values.join(', ')}
     ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date`,
    "DELETE FROM ONLY public.ir_config_parameter WHERE key = 'report.url'",
  ];
}

/** An upgrade or an installation that was under way in what was loaded is not to go on by itself now. */
export const moduleStatements: readonly string[] = [
  "UPDATE public.ir_module_module SET state = 'installed' WHERE state IN ('to upgrade', 'to remove')",
  "UPDATE public.ir_module_module SET state = 'uninstalled' WHERE state = 'to install'",
];
