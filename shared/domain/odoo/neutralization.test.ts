import { describe, expect, test } from 'vitest';
import { type CatalogueRow, catalogueOf, literal, quoted } from './neutral-catalogue.ts';
import { rules } from './neutral-rules.ts';
import { isSecret } from './neutral-secrets.ts';
import { dangerChecks, missingTables, neutralizingStatements } from './neutralization.ts';

const column = (table: string, name: string, more: Partial<CatalogueRow> = {}): CatalogueRow => ({
  schema: 'public',
  table,
  column: name,
  type: 'character varying',
  isRequired: false,
  isGenerated: false,
  ...more,
});

describe('a column is told to hold a secret by its name', () => {
  const at = (name: string, table = 'acme_connector') => isSecret({ schema: 'public', name: table }, name);

  test.each([
    'api_key',
    'apikey',
    'client_secret',
    'smtp_pass',
    'password',
    'x_passphrase',
    'refresh_token',
    'oauth_access_token',
    'hmac',
    'private_key',
    'webhook_key',
    'aws_access_key_id',
    'bearer_token',
    'credentials',
  ])('%s does', (name) => expect(at(name)).toBe(true));

  test.each(['name', 'access_token', 'signup_token', 'keyword', 'monkey', 'compass', 'passenger', 'form_key'])(
    '%s does not',
    (name) => expect(at(name)).toBe(false),
  );

  test('and in tables of connections by any key and account', () => {
    expect(at('authorize_login', 'payment_provider')).toBe(true);
    expect(at('buckaroo_website_key', 'payment_provider')).toBe(true);
    expect(at('use_payment_terminal', 'pos_payment_method')).toBe(false);
  });

  test('but the users of the copy keep their passwords', () => {
    expect(at('password', 'res_users')).toBe(false);
    expect(isSecret({ schema: 'other', name: 'res_users' }, 'password')).toBe(true);
  });
});

describe('the statements for a catalogue', () => {
  test('are only about what is there', () => {
    expect(neutralizingStatements(catalogueOf([]))).toEqual([]);
    const catalogue = catalogueOf([column('ir_mail_server', 'active', { type: 'boolean' })]);
    expect(neutralizingStatements(catalogue)).toEqual([
      'UPDATE "public"."ir_mail_server" SET "active" = false WHERE ("active" IS DISTINCT FROM false)',
    ]);
  });

  test('take the names of a tenant’s tables for names, whatever they are', () => {
    const name = 'x"; DROP TABLE res_users; --';
    const [statement] = neutralizingStatements(catalogueOf([column(name, 'api_key')]));
    expect(statement).toContain('UPDATE "public"."x""; DROP TABLE res_users; --" SET "api_key" = NULL');
    expect(quoted('a"b')).toBe('"a""b"');
    expect(literal("it's \\ so")).toBe("E'it''s \\\\ so'");
  });

  test('leave a column that PostgreSQL computes, and fill one that must not be empty', () => {
    const catalogue = catalogueOf([
      column('t', 'id', { type: 'integer', isRequired: true }),
      column('t', 'secret_hash', { isGenerated: true }),
      column('t', 'secret', { isRequired: true }),
      column('t', 'blob_secret', { type: 'bytea', isRequired: true }),
    ]);
    expect(neutralizingStatements(catalogue)).toEqual([expect.stringContaining(`"secret" = 'neutralized-' || id`)]);
    expect(neutralizingStatements(catalogue)[0]).toContain(`"blob_secret" = ''::bytea`);
    expect(neutralizingStatements(catalogue)[0]).not.toContain('secret_hash');
  });
});

test('a database without Odoo’s tables is told by which are missing', () => {
  expect(missingTables(catalogueOf([column('res_users', 'id')]))).toContain('ir_cron');
  expect(missingTables(catalogueOf([column('res_users', 'id')]))).not.toContain('res_users');
});

test('no check asks for a table that is not there, and every rule says its module', () => {
  const named = dangerChecks(catalogueOf([])).filter(({ query }) => query.includes('FROM public."'));
  expect(named).toEqual([]);
  for (const { module, set, deletes } of rules)
    expect([module !== '', set !== undefined || deletes]).toEqual([true, true]);
});
