/**
 * What makes a copy of somebody's Odoo act on the world, module by module, in columns of Odoo 17 to 19. A rule is applied
 * where its table is, and to the columns of it that are there. Secrets need no rule: they are told by their names
 * (neutral-secrets.ts).
 */
export type Rule = {
  /** The Odoo module that brings the table or the column. */
  module: string;
  table: string;
  /** SQL by column. A row that is so already is left alone. */
  set?: Readonly<Record<string, string>>;
  /** Rows go instead of being changed. */
  deletes?: true;
  /** Of which rows; all of them without it. */
  where?: string;
  /** Columns that `where` names: the rule is left out where one is missing. */
  needs?: readonly string[];
};

/** A host that no name server may ever know (RFC 6761). */
export const nowhere = 'neutralized.invalid';

/** The one scheduled action that goes on: it clears what is out of date inside the database. */
export const exceptAutovacuum = `id NOT IN (SELECT res_id FROM public.ir_model_data
  WHERE model = 'ir.cron' AND module = 'base' AND name = 'autovacuum_job')`;

/** What is not to be sent any more, by the table that waits to be sent. */
export const queues: readonly { module: string; table: string; waiting: readonly string[]; becomes: string }[] = [
  { module: 'mail', table: 'mail_mail', waiting: ['outgoing'], becomes: 'cancel' },
  { module: 'sms', table: 'sms_sms', waiting: ['outgoing', 'process'], becomes: 'canceled' },
  { module: 'snailmail', table: 'snailmail_letter', waiting: ['pending'], becomes: 'canceled' },
  { module: 'mass_mailing', table: 'mailing_mailing', waiting: ['in_queue', 'sending'], becomes: 'draft' },
  { module: 'digest', table: 'digest_digest', waiting: ['activated'], becomes: 'deactivated' },
  { module: 'social', table: 'social_post', waiting: ['scheduled', 'posting'], becomes: 'draft' },
  { module: 'marketing_automation', table: 'marketing_campaign', waiting: ['running'], becomes: 'stopped' },
  { module: 'whatsapp', table: 'whatsapp_message', waiting: ['outgoing'], becomes: 'cancel' },
  // of the community's queue, whose runner begins what it finds waiting
  {
    module: 'queue_job',
    table: 'queue_job',
    waiting: ['wait_dependencies', 'pending', 'enqueued', 'started'],
    becomes: 'cancelled',
  },
];

export const oneOf = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(', ');

const mail: readonly Rule[] = [
  {
    module: 'base',
    table: 'ir_mail_server',
    set: {
      active: 'false',
      smtp_host: `'${nowhere}'`,
      smtp_user: 'NULL',
      smtp_pass: 'NULL',
      smtp_ssl_certificate: 'NULL',
      smtp_ssl_private_key: 'NULL',
    },
  },
  {
    module: 'mail',
    table: 'fetchmail_server',
    set: { active: 'false', state: "'draft'", server: `'${nowhere}'`, user: 'NULL', password: 'NULL' },
  },
  { module: 'mail', table: 'mail_template', set: { mail_server_id: 'NULL' } },
  { module: 'mass_mailing', table: 'mailing_mailing', set: { mail_server_id: 'NULL' } },
  { module: 'mail', table: 'mail_push', deletes: true },
  { module: 'mail', table: 'mail_push_device', deletes: true },
  { module: 'mail', table: 'mail_ice_server', deletes: true },
  ...queues.map(
    ({ module, table, waiting, becomes }): Rule => ({
      module,
      table,
      set: { state: `'${becomes}'` },
      where: `state IN (${oneOf(waiting)})`,
      needs: ['state'],
    }),
  ),
];

const actions: readonly Rule[] = [
  { module: 'base', table: 'ir_cron', set: { active: 'false' }, where: exceptAutovacuum },
  {
    module: 'base',
    table: 'ir_act_server',
    set: { webhook_url: `'https://${nowhere}/'` },
    where: "state = 'webhook' OR coalesce(webhook_url, '') <> ''",
    needs: ['state', 'webhook_url'],
  },
  { module: 'base', table: 'res_users_apikeys', deletes: true },
  { module: 'auth_totp', table: 'auth_totp_device', deletes: true },
  { module: 'auth_oauth', table: 'auth_oauth_provider', set: { enabled: 'false', client_id: 'NULL' } },
  { module: 'auth_oauth', table: 'res_users', set: { oauth_access_token: 'NULL' } },
  { module: 'auth_ldap', table: 'res_company_ldap', set: { ldap_server: `'${nowhere}'` } },
  { module: 'iap', table: 'iap_account', set: { account_token: "'neutralized-' || id" } },
  {
    module: 'certificate',
    table: 'ir_attachment',
    deletes: true,
    where: "res_model IN ('certificate.certificate', 'certificate.key') AND res_field IS NOT NULL",
    needs: ['res_model', 'res_field'],
  },
  { module: 'l10n_eg_edi_eta', table: 'l10n_eg_edi_thumb_drive', set: { pin: "'neutralized'" } },
];

const calendars: readonly Rule[] = [
  { module: 'google_calendar', table: 'res_users_settings', set: { google_synchronization_stopped: 'true' } },
  { module: 'microsoft_calendar', table: 'res_users_settings', set: { microsoft_synchronization_stopped: 'true' } },
];

const shops: readonly Rule[] = [
  {
    module: 'payment',
    table: 'payment_provider',
    set: { state: "'disabled'" },
    where: "state <> 'disabled'",
    needs: ['state'],
  },
  { module: 'payment', table: 'payment_provider', set: { is_published: 'false' } },
  { module: 'payment', table: 'payment_token', set: { active: 'false' } },
  { module: 'delivery', table: 'delivery_carrier', set: { prod_environment: 'false' } },
  {
    module: 'delivery',
    table: 'delivery_carrier',
    set: { active: 'false' },
    where: "delivery_type NOT IN ('fixed', 'base_on_rule')",
    needs: ['delivery_type'],
  },
  {
    module: 'pos',
    table: 'pos_payment_method',
    set: {
      adyen_test_mode: 'true',
      pine_labs_test_mode: 'true',
      razorpay_test_mode: 'true',
      viva_com_test_mode: 'true',
      glory_websocket_address: "'0.0.0.0'",
    },
  },
  {
    module: 'website',
    table: 'website',
    set: {
      domain: 'NULL',
      cdn_activated: 'false',
      cdn_url: 'NULL',
      google_analytics_key: 'NULL',
      plausible_shared_key: 'NULL',
      robots_txt: "E'User-agent: *\\nDisallow: /'",
    },
  },
  {
    module: 'web',
    table: 'ir_ui_view',
    set: { active: 'true' },
    where: "key IN ('web.neutralize_banner', 'website.neutralize_ribbon')",
    needs: ['key'],
  },
  { module: 'amazon', table: 'amazon_account', set: { active: 'false' } },
  { module: 'account_online_synchronization', table: 'account_online_link', set: { state: "'disconnected'" } },
];

/** Authorities that take invoices: their test side, or none. */
const authorities: readonly Rule[] = [
  {
    module: 'account_edi_proxy_client',
    table: 'account_edi_proxy_client_user',
    set: { active: 'false', edi_mode: "'demo'" },
  },
  {
    module: 'l10n',
    table: 'res_company',
    set: {
      l10n_eg_production_env: 'false',
      l10n_es_sii_test_env: 'true',
      l10n_es_tbai_test_env: 'true',
      l10n_es_edi_verifactu_test_environment: 'true',
      l10n_gr_edi_test_env: 'true',
      l10n_hr_mer_connection_mode: "'test'",
      l10n_hr_mer_connection_state: "'inactive'",
      l10n_hu_edi_server_mode: "'test'",
      l10n_in_edi_production_env: 'false',
      l10n_it_edi_register: 'false',
      l10n_ke_cu_proxy_address: "''",
      l10n_mx_edi_pac_test_env: 'true',
      l10n_my_edi_mode: "'test'",
      l10n_ro_edi_test_env: 'true',
      l10n_rs_edi_demo_env: 'true',
      l10n_sa_api_mode: "'sandbox'",
      l10n_tr_nilvera_use_test_env: 'true',
      l10n_tw_edi_ecpay_staging_mode: 'true',
    },
  },
];

/** Every rule, in an order that does not matter: none reads what another writes. */
export const rules: readonly Rule[] = [...mail, ...actions, ...calendars, ...shops, ...authorities];

/** Odoo's parameters that send requests somewhere: who would answer there is never asked. */
export const parameters: Readonly<Record<string, string>> = {
  'database.is_neutralized': 'true',
  'iap.endpoint': `https://${nowhere}`,
  'sms.endpoint': `https://${nowhere}`,
  'snailmail.endpoint': `https://${nowhere}`,
  'reveal.endpoint': `https://${nowhere}`,
  'enrich.endpoint': `https://${nowhere}`,
  'iap.partner_autocomplete.endpoint': `https://${nowhere}`,
  'html_editor.olg_api_endpoint': `https://${nowhere}`,
  'html_editor.media_library_endpoint': `https://${nowhere}`,
  'account_peppol.edi.mode': 'demo',
  'l10n_dk_nemhandel.edi.mode': 'test',
  'l10n_it_edi.proxy_user_edi_mode': 'demo',
  'l10n_pl_edi_ksef.mode': 'test',
};

/** Parameters that go: where attachments of a customer's own cloud storage are, and whose relay of calls is used. */
export const parametersToDelete: readonly string[] = [
  'cloud_storage_provider',
  'cloud_storage_google_bucket_name',
  'cloud_storage_google_account_info',
  'cloud_storage_azure_account_name',
  'cloud_storage_azure_container_name',
  'cloud_storage_azure_tenant_id',
  'mail.sfu_server_url',
  'mail.web_push_vapid_public_key',
  'mass_mailing.mail_server_id',
  'report.url',
];
