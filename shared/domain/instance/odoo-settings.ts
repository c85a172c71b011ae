/** A value odoo.conf can hold. */
export type SettingValue = string | number | boolean;

type Rule = { accepts: (value: unknown) => boolean; wants: string };

const integer = (low: number, high: number): Rule => ({
  accepts: (value) => typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high,
  wants: `a whole number from ${low} to ${high}`,
});

const decimal = (low: number, high: number): Rule => ({
  accepts: (value) => typeof value === 'number' && value >= low && value <= high,
  wants: `a number from ${low} to ${high}`,
});

const oneOf = (...words: string[]): Rule => ({
  accepts: (value) => typeof value === 'string' && words.includes(value),
  wants: `one of ${words.join(', ')}`,
});

const boolean: Rule = { accepts: (value) => typeof value === 'boolean', wants: 'true or false' };

const mailAddress: Rule = {
  accepts: (value) => typeof value === 'string' && value.length <= 254 && /^[\w.+-]+@[A-Za-z0-9.-]+$/.test(value),
  wants: 'a plain e-mail address',
};

const mailFilter: Rule = {
  accepts: (value) => typeof value === 'string' && value.length <= 500 && /^[\w.+@,-]+$/.test(value),
  wants: 'e-mail addresses or domains, separated by commas',
};

/**
 * The settings a customer may choose; everything else in odoo.conf is the platform's.
 * `log_level` lacks the debug levels: they write SQL parameters, password hashes among them, into the platform's logs.
 */
export const customerSettings: Readonly<Record<string, Rule>> = {
  csv_internal_sep: oneOf(',', ';', '|'),
  email_from: mailAddress,
  from_filter: mailFilter,
  import_file_maxbytes: integer(1, 100 * 1024 * 1024),
  import_file_timeout: integer(1, 60),
  log_level: oneOf('info', 'warn', 'error', 'critical'),
  osv_memory_count_limit: integer(0, 1_000_000),
  reportgz: boolean,
  transient_age_limit: decimal(0.1, 168),
  websocket_keep_alive_timeout: integer(60, 86_400),
  websocket_rate_limit_burst: integer(1, 1000),
  websocket_rate_limit_delay: decimal(0.01, 10),
};

/**
 * The other settings Odoo reads from its file (`tools/config.py` of 17 to 19): written by the platform, or left to the image.
 * The list only makes the message better; a key that is on neither list is refused too.
 */
const reservedSettings = new Set(
  `addons_path admin_passwd bin_path data_dir db_app_name db_host db_maxconn db_maxconn_gevent db_name db_password db_port
  db_replica_host db_replica_port db_sslmode db_template db_user dbfilter default_productivity_apps dev_mode geoip_city_db
  geoip_country_db geoip_database gevent_port http_enable http_interface http_port import_url_regex limit_memory_hard
  limit_memory_hard_gevent limit_memory_soft limit_memory_soft_gevent limit_request limit_time_cpu limit_time_real
  limit_time_real_cron limit_time_worker_cron list_db load_language log_db log_db_level log_handler logfile longpolling_port
  max_cron_threads pg_path pidfile pre_upgrade_scripts proxy_access_token proxy_mode publisher_warranty_url screencasts
  screenshots server_wide_modules skip_auto_install smtp_password smtp_port smtp_server smtp_ssl
  smtp_ssl_certificate_filename smtp_ssl_private_key_filename smtp_user syslog test_enable test_file test_tags
  translate_modules unaccent upgrade_path with_demo without_demo workers x_sendfile`.split(/\s+/),
);

/**
 * Why a customer's setting may not be written, or undefined. The key's case matters to us, though not to Odoo: only the listed
 * spelling passes, so no other spelling of a reserved key can.
 */
export function refusalOf(key: string, value: unknown): string | undefined {
  const shown = JSON.stringify(key.slice(0, 60));
  const rule = Object.hasOwn(customerSettings, key) ? customerSettings[key] : undefined;
  if (rule !== undefined) return rule.accepts(value) ? undefined : `settings.${key} must be ${rule.wants}`;
  return reservedSettings.has(key.trim().toLowerCase())
    ? `settings: ${shown} is set by the platform and cannot be chosen`
    : `settings: ${shown} is not a setting that can be chosen`;
}
