import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { instanceSubjectIfAny } from '#events/subjects.ts';

/** A request was refused (no instance, no operation) or its operation stopped at a failure that a person must see. */
export const provisionFailed = defineEvent({
  type: 'dev.odoofleet.instance.provision.failed',
  summary: 'A requested instance was refused, or its operation failed.',
  direction: 'out',
  schema: v.strictObject({
    instance: v.nullable(fields.instanceId),
    operation: v.nullable(fields.operationId),
    customer: fields.customerId,
    name: fields.instanceName,
    code: fields.word,
    text: fields.text(1000),
  }),
  subject: instanceSubjectIfAny,
  extensions: {
    partitionkey: (data) => data.instance ?? undefined,
    tenantid: (data) => data.customer,
    operationid: (data) => data.operation ?? undefined,
  },
  example: {
    instance: null,
    operation: null,
    customer: 'c-1042',
    name: 'acme',
    code: 'quota-exceeded',
    text: 'Customer c-1042 has 5 of 5 instances. Raise the quota or terminate an instance.',
  },
});
export type ProvisionFailed = InferData<typeof provisionFailed>;
