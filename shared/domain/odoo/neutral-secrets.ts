import { type Catalogue, type Column, literal, qualified, quoted, type Table } from './neutral-catalogue.ts';

/** What stands where a secret was and nothing is not allowed. */
const neutralized = 'neutralized';

/**
 * Names that say a column or a parameter holds something another service would accept from us. Modules nobody here has seen
 * name theirs so too; Odoo's own rules know only Odoo's modules.
 */
const secretName =
  /secret|passw|passphrase|pwd|(^|_)pass$|token|bearer|credential|hmac|(api|private|access|client|signature|signing|transaction|security|encryption|licen[cs]e|merchant|webhook|shared|app|rsa|ssh|vapid|sfu_server|session|aade|migration)[_.]?key|apikey/;

/** In tables of connection settings a key of any kind is one, and so is the account it belongs to. */
const settingsTables = new Set(['payment_provider', 'pos_payment_method', 'delivery_carrier']);
const accountName = /(^|_)key(_|$)|login|merchant|account_id|client_id|pspid|terminal_|company_token/;

/**
 * What looks like a secret and is none of a service outside: passwords of the clone's own users, and tokens of links into the
 * clone itself, which nobody outside asks for.
 */
const harmless = new Set([
  'res_users.password',
  'res_users.totp_secret',
  'res_users.totp_last_counter',
  'ir_ui_view.visibility_password',
  'auth_passkey_key.credential_identifier',
]);
const harmlessNames = new Set([
  'access_token',
  'invite_token',
  'signup_token',
  'access_warning',
  'password_write_date',
]);
/** Whose `access_token` opens something outside. */
const outsideTokens = new Set(['l10n_eg_edi_thumb_drive', 'account_online_link', 'social_account', 'iot_box']);

/** Parameters of Odoo that are its own, made anew with the identity, or settings about passwords. */
const harmlessParameters =
  /^(database\.|auth_password_policy\.|auth_signup\.|password\.hashing|portal\.allow_api_keys|barcode\.|website_profile\.uuid)/;

const textTypes = new Set(['text', 'character varying', 'character', 'bytea', 'json', 'jsonb']);

/** Does this column hold what another service would accept from us? */
export function isSecret(table: Pick<Table, 'schema' | 'name'>, column: string): boolean {
  const isOdoos = table.schema === 'public';
  if (isOdoos && harmless.has(`${table.name}.${column}`)) return false;
  if (harmlessNames.has(column) && !(isOdoos && outsideTokens.has(table.name))) return false;
  return secretName.test(column) || (isOdoos && settingsTables.has(table.name) && accountName.test(column));
}

/** Is this `ir_config_parameter` one? Its key is tested in lower case. */
export const secretParameters = `(lower(key) ~ ${literal(`${secretName.source}|_key$|client_id$|account_sid$`)}
  AND key !~ ${literal(harmlessParameters.source)})`;

type SecretColumn = { name: string; column: Column };

function secretsOf(table: Table): SecretColumn[] {
  return [...table.columns]
    .filter(([name, column]) => textTypes.has(column.type) && !column.isGenerated && isSecret(table, name))
    .map(([name, column]) => ({ name, column }));
}

/** Holds it anything but nothing or our own word for nothing? */
function holdsSomething({ name, column }: SecretColumn): string {
  if (column.type === 'bytea') return `octet_length(${quoted(name)}) > 0`;
  const text = `btrim(${quoted(name)}::text, '"')`;
  return `coalesce(${text}, '') NOT IN ('', 'null', '{}', '[]') AND ${text} NOT LIKE ${literal(`${neutralized}%`)}`;
}

/** A column that must not be empty may be unique as well: the row's own number keeps it so. */
function emptied({ column }: SecretColumn, table: Table): string {
  if (!column.isRequired) return 'NULL';
  if (column.type === 'bytea') return "''::bytea";
  if (column.type === 'json' || column.type === 'jsonb') return `'"${neutralized}"'::${column.type}`;
  return table.columns.has('id') ? `'${neutralized}-' || id` : literal(neutralized);
}

/** Clears every column that holds a secret, table by table; rows without one are not touched. */
export function clearSecrets({ tables }: Catalogue): string[] {
  return tables.flatMap((table) => {
    const secrets = secretsOf(table);
    if (secrets.length === 0) return [];
    const set = secrets.map((secret) => `${quoted(secret.name)} = ${emptied(secret, table)}`);
    const where = secrets.map((secret) => `(${holdsSomething(secret)})`);
    return [`UPDATE ${qualified(table)} SET ${set.join(', ')} WHERE ${where.join(' OR ')}`];
  });
}

/** How many rows still hold one, table by table. */
export function countSecrets({ tables }: Catalogue): { what: string; query: string }[] {
  return tables.flatMap((table) => {
    const secrets = secretsOf(table);
    if (secrets.length === 0) return [];
    const where = secrets.map((secret) => `(${holdsSomething(secret)})`).join(' OR ');
    const names = secrets.map(({ name }) => name).join(', ');
    const what = `rows of ${table.name} with something in ${names}`;
    return [{ what, query: `SELECT count(*)::int AS count FROM ${qualified(table)} WHERE ${where}` }];
  });
}
