import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { instanceSubject } from '#events/subjects.ts';

/** The login page of a new instance answers. Carries no password and no e-mail address. */
export const provisioned = defineEvent({
  type: 'dev.odoofleet.instance.provisioned',
  summary: 'A new instance runs and its login page answers.',
  direction: 'out',
  schema: v.strictObject({
    instance: fields.instanceId,
    operation: fields.operationId,
    customer: fields.customerId,
    url: fields.url,
    /** From acceptance to the answer of the login page. */
    seconds: v.pipe(fields.finiteNumber, v.minValue(0, 'must not be negative')),
  }),
  subject: instanceSubject,
  extensions: {
    partitionkey: (data) => data.instance,
    tenantid: (data) => data.customer,
    operationid: (data) => data.operation,
  },
  example: {
    instance: 'k3n5q2x7a4bc',
    operation: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
    customer: 'c-1042',
    url: 'https://acme.odoo.example',
    seconds: 4.2,
  },
});
export type Provisioned = InferData<typeof provisioned>;
