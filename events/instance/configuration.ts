import * as v from 'valibot';
import * as fields from '#events/fields.ts';

/** What a new instance is made of, besides its plan. */
export const configurationEntries = {
  name: fields.instanceName,
  image: v.optional(fields.slug),
  modules: v.optional(v.pipe(v.array(fields.moduleName), v.maxLength(50, 'must list at most 50 modules'))),
  owner: v.strictObject({ email: fields.email }),
  language: v.optional(fields.language),
  /** odoo.conf settings of the customer's own; reserved ones are refused later, with the reason. */
  settings: v.optional(
    v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be named with a-z, 0-9 and "_"')),
        v.union([fields.text(500), fields.finiteNumber, v.boolean()]),
      ),
      v.maxEntries(30, 'must have at most 30 entries'),
    ),
  ),
};
