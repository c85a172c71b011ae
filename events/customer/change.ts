import * as v from 'valibot';
import * as fields from '#events/fields.ts';

/** What every event about a customer says; its type says what became of him. */
export const customerChange = v.strictObject({
  customer: fields.customerId,
  /** Grows with every change of the customer, in the order of the source that says so. */
  sequence: fields.count,
});

export const exampleChange = { customer: 'c-1042', sequence: 4 };
