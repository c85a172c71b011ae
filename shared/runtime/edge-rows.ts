import { defineConfig, httpUrl, integer, row, text } from './config.ts';

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
