import { type Catalogue, literal, qualified, quoted, type Table } from './neutral-catalogue.ts';
import {
  exceptAutovacuum,
  nowhere,
  oneOf,
  parameters,
  parametersToDelete,
  queues,
  type Rule,
  rules,
} from './neutral-rules.ts';
import { clearSecrets, countSecrets, secretParameters } from './neutral-secrets.ts';

/** What must find nothing in a neutralized database: `query` gives one row with `count`. */
export type DangerCheck = { what: string; query: string };

/** The tables without which a database is no Odoo's. */
const necessary = [
  'ir_module_module',
  'ir_config_parameter',
  'ir_cron',
  'ir_mail_server',
  'ir_model_data',
  'res_users',
];

/**
 * The statements that take from a copy of an Odoo database whatever it could act on the world with: to be run in one
 * transaction, as the role that owns the tables. Run again they change nothing. Pure.
 */
export function neutralizingStatements(catalogue: Catalogue): string[] {
  return [
    ...rules.flatMap((rule) => statementsOf(rule, catalogue)),
    ...parameterStatements(catalogue),
    ...clearSecrets(catalogue),
  ];
}

function statementsOf(rule: Rule, { odoo }: Catalogue): string[] {
  const table = odoo.get(rule.table);
  if (table === undefined || rule.needs?.some((column) => !table.columns.has(column))) return [];
  const where = rule.where === undefined ? [] : [`(${rule.where})`];
  if (rule.deletes) return [`DELETE FROM ${qualified(table)}${where.length === 0 ? '' : ` WHERE ${where[0]}`}`];
  const set = Object.entries(rule.set ?? {})
    .map(([column, value]) => ({ column, value: typed(value, table, column) }))
    .filter(({ column }) => table.columns.has(column));
  if (set.length === 0) return [];
  const differs = set.map(({ column, value }) => `${quoted(column)} IS DISTINCT FROM ${value}`).join(' OR ');
  const changes = set.map(({ column, value }) => `${quoted(column)} = ${value}`).join(', ');
  return [`UPDATE ${qualified(table)} SET ${changes} WHERE ${[...where, `(${differs})`].join(' AND ')}`];
}

/** A column that may not be empty gets an empty text instead; one that Odoo translates holds a text by language. */
function typed(value: string, table: Table, column: string): string {
  const found = table.columns.get(column);
  if (value === 'NULL') return found?.isRequired ? "''" : 'NULL';
  return found?.type === 'jsonb' ? `jsonb_build_object('en_US', ${value})` : value;
}

function parameterStatements({ odoo }: Catalogue): string[] {
  if (!odoo.has('ir_config_parameter')) return [];
  const values = Object.entries(parameters).map(([key, value]) => `(${literal(key)}, ${literal(value)})`);
  return [
    `DELETE FROM public.ir_config_parameter
     WHERE key IN (${parametersToDelete.map(literal).join(', ')}) OR ${secretParameters}`,
    `INSERT INTO public.ir_config_parameter (key, value) VALUES ${values.join(', ')}
     ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE ir_config_parameter.value <> excluded.value`,
  ];
}

const count = (from: string, where: string) => `SELECT count(*)::int AS count FROM ${from} WHERE ${where}`;

/** Whose columns are compared with something below. */
const watched = [...new Set([...necessary, ...rules.map(({ table }) => table)])];

/** Tables of Odoo's that are not there, or are something else than tables: of such a copy nothing can be said. */
export function missingTables({ odoo }: Catalogue): string[] {
  return necessary.filter((table) => !odoo.has(table));
}

/**
 * What is asked of a copy before anybody may connect to it. Written apart from the rules, so that a rule that is wrong or
 * gone is seen here; and without them also about what no rule can put right, such as a foreign server. Pure.
 */
export function dangerChecks(catalogue: Catalogue): DangerCheck[] {
  const { odoo } = catalogue;
  const has = (table: string, ...columns: string[]) =>
    odoo.has(table) && odoo.has(table) && columns.every((column) => odoo.get(table)?.columns.has(column));
  const check = (table: string, columns: string[], { what, where }: { what: string; where: string }): DangerCheck[] =>
    has(table, ...columns) ? [{ what, query: count(`public.${quoted(table)}`, where) }] : [];
  return [
    ...check('ir_mail_server', ['active', 'smtp_host'], {
      what: 'outgoing mail servers that are active or have an address',
      where: `active OR (smtp_host <> '${nowhere}' AND smtp_host <> 'invalid')`,
    }),
    ...check('ir_mail_server', ['smtp_user'], {
      what: 'user names of mail servers',
      where: "coalesce(smtp_user, '') <> ''",
    }),
    ...check('fetchmail_server', ['active'], { what: 'incoming mail servers that are active', where: 'active' }),
    ...check('fetchmail_server', ['server'], {
      what: 'incoming mail servers with an address',
      where: `coalesce(server, '') NOT IN ('', '${nowhere}')`,
    }),
    ...check('ir_cron', ['active'], {
      what: 'scheduled actions that are active',
      where: `active AND ${exceptAutovacuum}`,
    }),
    ...check('ir_act_server', ['webhook_url'], {
      what: 'actions that call an address outside',
      where: `coalesce(webhook_url, '') NOT IN ('', 'https://${nowhere}/')`,
    }),
    ...check('payment_provider', ['state'], { what: 'payment providers in use', where: "state <> 'disabled'" }),
    ...check('payment_token', ['active'], { what: 'saved means of payment', where: 'active' }),
    ...check('delivery_carrier', ['prod_environment'], { what: 'carriers in production', where: 'prod_environment' }),
    ...check('iap_account', ['account_token'], {
      what: 'accounts of in-app purchases',
      where: "account_token NOT LIKE 'neutralized%'",
    }),
    ...check('auth_oauth_provider', ['enabled'], { what: 'OAuth providers', where: 'enabled' }),
    ...check('res_users_apikeys', [], { what: 'API keys', where: 'true' }),
    ...check('mail_push_device', [], { what: 'devices that get messages pushed', where: 'true' }),
    ...check('account_edi_proxy_client_user', ['active'], { what: 'users of the invoice network', where: 'active' }),
    ...check('website', ['cdn_activated'], { what: 'websites with a CDN', where: 'cdn_activated' }),
    ...check('website', ['domain'], { what: 'websites with a domain', where: "coalesce(domain, '') <> ''" }),
    ...queues.flatMap(({ table, waiting }) =>
      check(table, ['state'], { what: `${table} waiting to be sent`, where: `state IN (${oneOf(waiting)})` }),
    ),
    ...check('ir_config_parameter', ['key', 'value'], {
      what: 'parameters with a secret',
      where: `${secretParameters} AND coalesce(value, '') <> ''`,
    }),
    {
      what: 'no mark database.is_neutralized',
      query: `SELECT (count(*) <> 1)::int AS count FROM public.ir_config_parameter
        WHERE key = 'database.is_neutralized' AND lower(value) = 'true'`,
    },
    ...countSecrets(catalogue),
    {
      what: 'columns of types that are not PostgreSQL’s, whose comparisons are somebody’s own,',
      query: `SELECT count(*)::int AS count FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN (${watched.map(literal).join(', ')})
          AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384`,
    },
    {
      what: 'foreign servers, by which PostgreSQL itself would connect',
      query: count('pg_catalog.pg_foreign_server', 'true'),
    },
    {
      what: 'extensions by which PostgreSQL itself would connect',
      query: count(
        'pg_catalog.pg_extension',
        "extname IN ('dblink', 'postgres_fdw', 'http', 'pg_net', 'plpython3u', 'pg_cron')",
      ),
    },
  ];
}
