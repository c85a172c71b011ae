import { networksOf } from './access/caller-address.ts';
import { defineConfig, httpUrl, integer, oneOf, row, secretRow, text } from './config.ts';

// The rows of the ways in and out. A function takes those it needs, as those of `rows.ts`.

const claim = text({ pattern: /^[\x21-\x7e]{1,128}$/, wanted: 'the name of a claim' });

/** Who may ask, and how often. Without the first three only API keys are taken. */
export const access = defineConfig({
  jwtIssuer: row('JWT_ISSUER', text(), undefined, 'Issuer (iss) of the tokens that people and services send.'),
  jwtAudience: row('JWT_AUDIENCE', text(), undefined, 'What a token must be for (aud).'),
  jwtKeysUrl: row('JWT_JWKS_URL', httpUrl, undefined, "Where the issuer's public keys are (JWKS)."),
  jwtRoleClaim: row('JWT_ROLE_CLAIM', claim, 'role', 'Claim with the role: customer, support, admin or service.'),
  jwtCustomerClaim: row('JWT_CUSTOMER_CLAIM', claim, 'customer_id', 'Claim with the customer whose rows are meant.'),
  readsPerMinute: row('RATE_LIMIT_READS', integer(1, 100_000), 100, 'Reads in any minute, per token holder or key.'),
  writesPerMinute: row('RATE_LIMIT_WRITES', integer(1, 100_000), 60, 'Changes in any minute, per customer.'),
  exportsPerMinute: row('RATE_LIMIT_EXPORTS', integer(1, 100_000), 10, 'Exports in any minute, per customer.'),
});

/** What stands between callers and us. Strangers are told apart by the address that the outermost proxy of ours has seen. */
export const proxies = defineConfig({
  trustedHops: row(
    'TRUSTED_HOPS',
    integer(0, 10),
    1,
    'Proxies before us that add an address to X-Forwarded-For, outside of TRUSTED_PROXIES: the caller is the so many-th from its end. 0: nobody is before us.',
  ),
  trustedProxies: row(
    'TRUSTED_PROXIES',
    { wanted: 'networks such as 10.0.0.0/8, separated by commas', read: networksOf },
    undefined,
    'Networks of proxies that are passed over before TRUSTED_HOPS counts: with Knative those of the pods, whose gateway and activator (some of the time) add addresses of theirs behind the caller’s.',
  ),
});

/** Kill Bill, where its accounts are read. Without KILL_BILL_URL nobody asks it. */
export const killBill = defineConfig({
  killBillUrl: row('KILL_BILL_URL', httpUrl, undefined, 'Where Kill Bill answers; without it there is none.'),
  killBillUser: row('KILL_BILL_USER', text(), 'fleet', 'Its user: one that may read accounts and nothing else.'),
  killBillPassword: secretRow('KILL_BILL_PASSWORD', "The user's password.", { optional: true }),
  killBillApiKey: secretRow('KILL_BILL_API_KEY', "The tenant's key.", { optional: true }),
  killBillApiSecret: secretRow('KILL_BILL_API_SECRET', "The tenant's secret.", { optional: true }),
  killBillDueDays: row(
    'KILL_BILL_DUE_DAYS',
    integer(0, 365),
    1,
    'Days an invoice may be open before it is past due. A failed payment makes it so at once. The grace of the plan begins then.',
  ),
});

/** What billing services tell. A form without its secret is not offered. */
export const billingWebhook = defineConfig({
  killBillWebhookToken: secretRow(
    'KILL_BILL_WEBHOOK_TOKEN',
    'What Kill Bill shows us: as ?token= of the registered callback, or as the password of Basic authentication. Two lines while one takes the place of the other.',
    { optional: true },
  ),
  billingWebhookSecret: secretRow(
    'BILLING_WEBHOOK_SECRET',
    'Key (whsec_...) that another billing service signs with, as Standard Webhooks say. Two lines while one takes the place of the other.',
    { optional: true },
  ),
});

/** Hosts of customers' own. */
export const customDomains = defineConfig({
  dnsServers: row(
    'DNS_SERVERS',
    text({ pattern: /^[0-9a-fA-F.:[\]]+(,[0-9a-fA-F.:[\]]+)*$/, wanted: 'addresses, separated by commas' }),
    undefined,
    "Resolvers that are asked for the proof of customers' hosts; without it the machine's own. In a cluster an overlay lets `api` reach them (port 53, UDP and TCP).",
  ),
});

/** Telling customers' endpoints. */
export const webhooks = defineConfig({
  webhookKeysFile: row(
    'WEBHOOK_KEYS_FILE',
    text({ wanted: 'a path' }),
    undefined,
    "File with the keys that wrap the secrets of customers' endpoints, of the form of BACKUP_KEYS_FILE and with keys of its own. Read again when it changes.",
  ),
  webhookTargets: row(
    'WEBHOOK_TARGETS',
    oneOf('public', 'any'),
    'public',
    'Where endpoints may be: public, by https at addresses of the internet; any, also by http and on this machine, for runs on one.',
  ),
});

/** How mails go. Without SMTP_HOST they are written as files. */
export const mailing = defineConfig({
  smtpHost: row(
    'SMTP_HOST',
    text({ pattern: /^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252})$/, wanted: 'a host name or an IP address' }),
    undefined,
    'The mail server that takes our mails; without it MAIL_DIR is wanted.',
  ),
  smtpPort: row('SMTP_PORT', integer(1, 65_535), 587, 'Its port.'),
  smtpSecurity: row(
    'SMTP_SECURITY',
    oneOf('starttls', 'tls', 'none'),
    'starttls',
    'starttls: TLS is begun on the connection, or nothing is sent; tls: from the start (port 465); none: a relay on this machine.',
  ),
  smtpUser: row('SMTP_USER', text(), undefined, 'Its user; without it nobody logs in.'),
  smtpPassword: secretRow('SMTP_PASSWORD', "The user's password.", { optional: true }),
  smtpCaFile: row(
    'SMTP_CA_FILE',
    text({ wanted: 'a path' }),
    undefined,
    "PEM file with the certificates its own may be signed by; without it the system's.",
  ),
  mailFrom: row(
    'MAIL_FROM',
    text({ pattern: /^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,188}$/, wanted: 'an e-mail address' }),
    'odoo-fleet@localhost',
    'Address that mails come from.',
  ),
  mailFromName: row('MAIL_FROM_NAME', text(), 'Odoo Fleet', 'Name shown beside it.'),
  mailFolder: row(
    'MAIL_DIR',
    text({ wanted: 'a path' }),
    undefined,
    'Folder for mails as files, where no SMTP_HOST is set.',
  ),
  apiUrl: row(
    'API_URL',
    httpUrl,
    undefined,
    'Where people reach the function api: links to first passwords begin with it. Without it mails have none.',
  ),
});
