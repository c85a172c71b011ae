/** The tables and columns of Odoo 19 that the records below are in: enough of it for tests that need no Odoo. */
export const smallOdooSchema = `
  CREATE TABLE ir_module_module (id serial PRIMARY KEY, name varchar UNIQUE, state varchar, latest_version varchar);
  INSERT INTO ir_module_module (name, state) VALUES ('base', 'installed'), ('mail', 'installed');
  CREATE TABLE ir_config_parameter (id serial PRIMARY KEY, key varchar NOT NULL UNIQUE, value text NOT NULL,
    create_uid int, write_uid int, create_date timestamp, write_date timestamp);
  INSERT INTO ir_config_parameter (key, value) VALUES ('database.uuid', 'of the source'), ('database.secret', 'of the source'),
    ('web.base.url', 'https://acme.example'), ('auth_password_policy.minlength', '8');
  CREATE TABLE res_partner (id serial PRIMARY KEY, name varchar, signup_token varchar);
  INSERT INTO res_partner (name) VALUES ('Administrator');
  CREATE TABLE res_users (id serial PRIMARY KEY, partner_id int, login varchar, password varchar, active boolean,
    oauth_access_token varchar, microsoft_calendar_token varchar);
  INSERT INTO res_users (id, partner_id, login, password, active) VALUES (1, 1, '__system__', NULL, false),
    (2, 1, 'admin', 'a hash', true);
  CREATE TABLE res_company (id serial PRIMARY KEY, name varchar, l10n_ro_edi_client_secret varchar,
    l10n_ro_edi_test_env boolean);
  INSERT INTO res_company (name) VALUES ('Acme');
  CREATE TABLE ir_model_data (id serial PRIMARY KEY, module varchar, name varchar, model varchar, res_id int);
  INSERT INTO ir_model_data (module, name, model, res_id) VALUES ('base', 'autovacuum_job', 'ir.cron', 1);
  CREATE TABLE ir_act_server (id serial PRIMARY KEY, name jsonb, type varchar, state varchar, usage varchar,
    binding_type varchar, model_id int, webhook_url varchar, code text);
  INSERT INTO ir_act_server (name, state) VALUES ('{"en_US": "auto-vacuum"}', 'code');
  CREATE TABLE ir_model (id serial PRIMARY KEY, model varchar);
  INSERT INTO ir_model (model) VALUES ('res.partner');
  CREATE TABLE ir_cron (id serial PRIMARY KEY, ir_actions_server_id int, cron_name varchar, user_id int, active boolean,
    interval_number int, interval_type varchar, nextcall timestamp, priority int, failure_count int);
  INSERT INTO ir_cron (ir_actions_server_id, cron_name, user_id, active) VALUES (1, 'auto-vacuum', 1, true),
    (1, 'mail queue', 1, true);
  CREATE TABLE ir_mail_server (id serial PRIMARY KEY, name varchar NOT NULL, active boolean, smtp_host varchar,
    smtp_port int, smtp_user varchar, smtp_pass varchar, smtp_encryption varchar NOT NULL,
    smtp_authentication varchar NOT NULL, smtp_ssl_certificate bytea, smtp_ssl_private_key bytea, sequence int);
  CREATE TABLE fetchmail_server (id serial PRIMARY KEY, name varchar NOT NULL, active boolean, state varchar,
    server varchar, port int, server_type varchar NOT NULL, is_ssl boolean, "user" varchar, password varchar);
  CREATE TABLE mail_message (id serial PRIMARY KEY, message_type varchar, body text, email_from varchar);
  CREATE TABLE mail_mail (id serial PRIMARY KEY, mail_message_id int NOT NULL, state varchar, email_to text, body_html text);
  CREATE TABLE mail_push_device (id serial PRIMARY KEY, partner_id int NOT NULL, endpoint varchar NOT NULL, keys varchar NOT NULL);
  CREATE TABLE payment_provider (id serial PRIMARY KEY, name jsonb NOT NULL, code varchar NOT NULL, state varchar NOT NULL,
    company_id int NOT NULL, is_published boolean, stripe_publishable_key varchar, stripe_secret_key varchar,
    stripe_webhook_secret varchar);
  CREATE TABLE iap_service (id serial PRIMARY KEY, name varchar, technical_name varchar, description jsonb, unit_name jsonb,
    integer_balance boolean);
  CREATE TABLE iap_account (id serial PRIMARY KEY, name varchar, service_id int NOT NULL, account_token varchar);
  CREATE TABLE auth_oauth_provider (id serial PRIMARY KEY, name varchar NOT NULL, client_id varchar, enabled boolean,
    auth_endpoint varchar NOT NULL, validation_endpoint varchar NOT NULL, body jsonb NOT NULL);
  CREATE TABLE res_users_apikeys (id serial PRIMARY KEY, name varchar NOT NULL, user_id int NOT NULL, scope varchar,
    index varchar(8) NOT NULL, key varchar NOT NULL);
  CREATE TABLE sms_sms (id serial PRIMARY KEY, number varchar, body text, state varchar NOT NULL, uuid varchar);
  CREATE TABLE website (id serial PRIMARY KEY, name varchar, domain varchar, cdn_activated boolean, cdn_url varchar,
    robots_txt text);
  INSERT INTO website (name) VALUES ('Acme');`;

/** A record that makes a copy of the database act on the world, and words of what a look for dangers says of it. */
export type DangerousRecord = { what: string; seenAs: string; sql: string };

/** Where a test wants the world to be: servers of its own. */
export type World = { mail: { host: string; port: number }; http: string };

/**
 * One of every kind. They fit Odoo 19's own tables where base, mail, payment_stripe, auth_oauth, iap, sms, microsoft_calendar, website and
 * l10n_ro_edi are installed, and the small schema above. All that is scheduled is due.
 */
export function dangerousRecords({ mail, http }: World): DangerousRecord[] {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  return [
    {
      what: 'an outgoing mail server with its login',
      seenAs: 'outgoing mail servers',
      sql: `INSERT INTO ir_mail_server (name, active, smtp_host, smtp_port, smtp_user, smtp_pass, smtp_encryption, smtp_authentication, sequence)
        VALUES ('relay', true, ${text(mail.host)}, ${mail.port}, 'acme', 'the relay''s password', 'none', 'login', 1)`,
    },
    {
      what: 'an archived mail server with a client certificate',
      seenAs: 'ir_mail_server with something in',
      sql: `INSERT INTO ir_mail_server (name, active, smtp_host, smtp_encryption, smtp_authentication, smtp_ssl_private_key)
        VALUES ('old relay', false, 'invalid', 'starttls', 'certificate', 'a private key')`,
    },
    {
      what: 'a mailbox that is fetched',
      seenAs: 'incoming mail servers',
      sql: `INSERT INTO fetchmail_server (name, active, state, server, port, server_type, is_ssl, "user", password)
        VALUES ('inbox', true, 'done', ${text(mail.host)}, ${mail.port}, 'pop', false, 'acme', 'the mailbox''s password')`,
    },
    {
      what: 'a mail in the queue',
      seenAs: 'mail_mail waiting',
      sql: `WITH message AS (INSERT INTO mail_message (message_type, body, email_from)
          VALUES ('email', 'hello', 'acme@example.com') RETURNING id)
        INSERT INTO mail_mail (mail_message_id, state, email_to, body_html)
        SELECT id, 'outgoing', 'customer@example.com', '<p>hello</p>' FROM message`,
    },
    {
      what: 'a text message in the queue',
      seenAs: 'sms_sms waiting',
      sql: "INSERT INTO sms_sms (number, body, state, uuid) VALUES ('+15550100', 'hello', 'outgoing', 'b7c0a1')",
    },
    {
      what: 'a scheduled action that calls a webhook',
      seenAs: 'actions that call an address outside',
      // Odoo calls a webhook for a record only, so that one scheduled action runs another
      sql: `WITH webhook AS (INSERT INTO ir_act_server (name, type, state, usage, binding_type, model_id, webhook_url)
          SELECT '{"en_US": "tell the shop"}', 'ir.actions.server', 'webhook', 'ir_actions_server', 'action', min(id),
            ${text(`${http}/hook?token=abc`)} FROM ir_model WHERE model = 'res.partner' RETURNING id, model_id),
        action AS (INSERT INTO ir_act_server (name, type, state, usage, binding_type, model_id, code)
          SELECT '{"en_US": "tell the shop daily"}', 'ir.actions.server', 'code', 'ir_cron', 'action', model_id,
            format('env["ir.actions.server"].browse(%s).with_context(active_model="res.partner", active_id=1).run()', id)
          FROM webhook RETURNING id)
        INSERT INTO ir_cron (ir_actions_server_id, cron_name, user_id, active, interval_number, interval_type, nextcall, priority, failure_count)
        SELECT id, 'tell the shop', 1, true, 1, 'days', timestamp '2020-01-01', 0, 0 FROM action`,
    },
    {
      what: 'a payment provider with live keys',
      seenAs: 'payment providers in use',
      sql: `INSERT INTO payment_provider (name, code, state, company_id, is_published, stripe_publishable_key, stripe_secret_key, stripe_webhook_secret)
        SELECT '{"en_US": "Stripe"}', 'stripe', 'enabled', min(id), true, 'pk_live_1', 'sk_live_1', 'whsec_1' FROM res_company`,
    },
    {
      what: 'keys of a payment provider that is off',
      seenAs: 'payment_provider with something in',
      sql: `INSERT INTO payment_provider (name, code, state, company_id, stripe_secret_key)
        SELECT '{"en_US": "Stripe"}', 'stripe', 'disabled', min(id), 'sk_live_2' FROM res_company`,
    },
    {
      what: 'credits for in-app purchases',
      seenAs: 'accounts of in-app purchases',
      sql: `WITH service AS (INSERT INTO iap_service (name, technical_name, description, unit_name, integer_balance)
          VALUES ('SMS', 'sms_of_test', '{"en_US": "x"}', '{"en_US": "x"}', true) RETURNING id)
        INSERT INTO iap_account (name, service_id, account_token) SELECT 'SMS', id, 'a1b2c3d4e5f6' FROM service`,
    },
    {
      what: 'the service that takes them',
      seenAs: 'no mark database.is_neutralized',
      sql: `INSERT INTO ir_config_parameter (key, value) VALUES ('iap.endpoint', ${text(http)}), ('sms.endpoint', ${text(http)})`,
    },
    {
      what: 'a login by another service',
      seenAs: 'OAuth providers',
      sql: `INSERT INTO auth_oauth_provider (name, client_id, enabled, auth_endpoint, validation_endpoint, body)
        VALUES ('Acme', 'client-1', true, 'https://sso.example/auth', 'https://sso.example/me', '{"en_US": "Acme"}')`,
    },
    {
      what: "a user's token of another service",
      seenAs: 'res_users with something in',
      sql: "UPDATE res_users SET oauth_access_token = 'ya29.secret', microsoft_calendar_token = 'eyJ' WHERE id = 2",
    },
    {
      what: 'an API key',
      seenAs: 'API keys',
      sql: "INSERT INTO res_users_apikeys (name, user_id, scope, index, key) VALUES ('sync', 2, 'rpc', 'abcd1234', 'a hash')",
    },
    {
      what: 'a device that gets messages pushed',
      seenAs: 'devices that get messages pushed',
      sql: `INSERT INTO mail_push_device (partner_id, endpoint, keys)
        SELECT min(id), ${text(`${http}/push`)}, '{}' FROM res_partner`,
    },
    {
      what: 'a parameter with a secret',
      seenAs: 'parameters with a secret',
      sql: "INSERT INTO ir_config_parameter (key, value) VALUES ('acme_shop.api_token', 'shop-secret')",
    },
    {
      what: "an authority's secret on the company",
      seenAs: 'res_company with something in',
      sql: "UPDATE res_company SET l10n_ro_edi_client_secret = 'anaf-secret', l10n_ro_edi_test_env = false",
    },
    {
      what: 'a website with a domain and a CDN',
      seenAs: 'websites with a',
      sql: "UPDATE website SET domain = 'https://www.acme.example', cdn_activated = true, cdn_url = 'https://cdn.acme.example'",
    },
    {
      what: 'a table of a module nobody knows, with a secret in it',
      seenAs: 'acme_connector with something in',
      sql: `CREATE TABLE acme_connector (id serial PRIMARY KEY, url varchar, api_key varchar NOT NULL UNIQUE, options jsonb, webhook_secret jsonb);
        INSERT INTO acme_connector (url, api_key, webhook_secret) VALUES ('https://shop.example', 'k1', '{"a": 1}'), ('https://shop.example', 'k2', NULL)`,
    },
    {
      what: 'scheduled actions that are due',
      seenAs: 'scheduled actions that are active',
      sql: "UPDATE ir_cron SET nextcall = timestamp '2020-01-01' WHERE active",
    },
  ];
}
