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
    "Resolvers that are asked for the proof of customers' hosts; without it the machine's own.",
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
