import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { instanceSubject } from '#events/subjects.ts';

/** Ids only: whoever sends the message reads addresses and passwords where they are kept. */
export const notificationRequested = defineEvent({
  type: 'dev.odoofleet.notification.requested',
  summary: 'Somebody should be told: the receiver finds the text and the address by the ids.',
  direction: 'out',
  schema: v.strictObject({
    notification: v.picklist([
      'instance-ready',
      'instance-failed',
      'instance-started',
      'instance-stopped',
      'instance-suspended',
      'instance-resumed',
      'instance-terminated',
      'instance-restored',
    ]),
    instance: fields.instanceId,
    customer: fields.customerId,
    operation: fields.operationId,
  }),
  subject: instanceSubject,
  extensions: {
    partitionkey: (data) => data.instance,
    tenantid: (data) => data.customer,
    operationid: (data) => data.operation,
  },
  example: {
    notification: 'instance-ready',
    instance: 'k3n5q2x7a4bc',
    customer: 'c-1042',
    operation: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
  },
});
export type NotificationRequested = InferData<typeof notificationRequested>;
