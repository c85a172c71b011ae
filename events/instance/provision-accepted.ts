import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { instanceSubject } from '#events/subjects.ts';

/** The request is a durable row: from here on it is finished or its failure is told. */
export const provisionAccepted = defineEvent({
  type: 'dev.odoofleet.instance.provision.accepted',
  summary: 'A requested instance was accepted; its operation is recorded and will be finished.',
  direction: 'out',
  schema: v.strictObject({
    instance: fields.instanceId,
    operation: fields.operationId,
    customer: fields.customerId,
    name: fields.instanceName,
    host: fields.host,
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
    name: 'acme',
    host: 'acme.odoo.example',
  },
});
export type ProvisionAccepted = InferData<typeof provisionAccepted>;
