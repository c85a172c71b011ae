import { defineConfig, integer, oneOf, requiredRow, row, secretRow, text } from './config.ts';

/** The platform database itself, past its bouncer: for migrations and dumps, which need a session of their own. */
export const platformDirect = defineConfig({
  host: requiredRow('PLATFORM_POSTGRES_DIRECT_HOST', text(), 'Host of the platform database itself, not of PgBouncer.'),
  port: row('PLATFORM_POSTGRES_DIRECT_PORT', integer(1, 65_535), 5432, 'Its port.'),
  database: row('PLATFORM_POSTGRES_DB', text(), 'platform', 'Name of the platform database.'),
  user: row('PLATFORM_POSTGRES_USER', text(), 'fleet', 'Role that owns the tables.'),
  password: secretRow('PLATFORM_POSTGRES_PASSWORD', 'Password of that role.'),
  sslMode: row(
    'PLATFORM_POSTGRES_SSLMODE',
    oneOf('disable', 'require', 'verify-full'),
    'disable',
    'TLS to the server.',
  ),
});
