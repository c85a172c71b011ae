import * as v from 'valibot';

// Messages never repeat the value: they end up in rows and logs, and the value may be a secret in the wrong place.
function matching(pattern: RegExp, maxLength: number, wanted: string) {
  return v.pipe(
    v.string(),
    v.maxLength(maxLength, `must be at most ${maxLength} characters long`),
    v.regex(pattern, `must be ${wanted}`),
  );
}

/** 12 characters of lower-case base32: 60 bits, and short enough for every name derived from it. */
export const instanceId = matching(/^[a-z2-7]{12}$/, 12, '12 characters of a-z and 2-7');

export const operationId = matching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  36,
  'a UUID in lower case',
);

/** Ids of billing and user services: UUIDs, numbers, slugs. */
export const customerId = matching(
  /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  64,
  'letters, digits, "_" and "-", starting with a letter or digit',
);

/** Ids of billing services: subscriptions, invoices. */
export const billingId = matching(
  /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/,
  100,
  'letters, digits, "_", ".", ":" and "-", starting with a letter or digit',
);

/** First part of the instance's host. 40 characters leave room for prefixes in a label of 63. */
export const instanceName = matching(
  /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/,
  40,
  'a DNS label: a-z, 0-9 and "-", starting with a letter and not ending in "-"',
);

/** Ids in our own catalogues: plans, images. */
export const slug = matching(/^[a-z]([a-z0-9.-]{0,37}[a-z0-9])?$/, 39, 'lower-case letters, digits, "." and "-"');

/** One word of our own vocabulary: kinds, statuses, codes. Open, so that an old reader can read a new word. */
export const word = matching(/^[a-z]([a-z-]{0,38}[a-z])?$/, 40, 'lower-case letters and "-"');

/** The rule of Odoo's own addons: a Python package name. */
export const moduleName = matching(/^[a-z][a-z0-9_]{0,62}$/, 63, 'an Odoo module name: a-z, 0-9 and "_"');

/** ASCII only: it becomes a login. 254 is the longest address SMTP can carry (RFC 5321, erratum 1690). */
export const email = matching(
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})+$/,
  254,
  'an e-mail address in ASCII',
);

/** As Odoo names languages: `de`, `pt_BR`, `sr@latin`. */
export const language = matching(/^[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?$/, 24, 'a language code such as "de" or "pt_BR"');

export const host = matching(
  /^[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9][a-z0-9-]{0,62})*$/,
  253,
  'a host name in lower case',
);

export const url = matching(/^https?:\/\/[a-z0-9][a-z0-9.-]{0,252}(:[0-9]{1,5})?\/?$/, 280, 'an http or https URL');

/** Chosen by the requester; anything printable, so that ids of other systems fit. */
export const idempotencyKey = matching(/^[\x21-\x7e]{1,128}$/, 128, 'printable ASCII without blanks');

/**
 * Text for people. No control characters and no line or paragraph separators (it must stay one line wherever it is
 * written), and no half of a surrogate pair (PostgreSQL refuses it in jsonb).
 */
export function text(maxLength: number) {
  return matching(
    /^([^\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]|[\ud800-\udbff][\udc00-\udfff])*$/,
    maxLength,
    'one line of text without control characters',
  );
}

/** A moment in UTC, RFC 3339. */
export const instant = matching(
  /^2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$/,
  30,
  'a moment in UTC such as 2027-01-31T10:00:00Z',
);

/** A whole number from 0; above 2^53 JSON cannot carry it exactly. */
export const count = v.pipe(v.number(), v.safeInteger('must be a whole number'), v.minValue(0, 'must not be negative'));

/** `1e999` is valid JSON and reads as Infinity, which cannot be written again. */
export const finiteNumber = v.pipe(v.number(), v.finite('must be a finite number'));
