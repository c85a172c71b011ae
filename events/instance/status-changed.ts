import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { instanceSubject } from '#events/subjects.ts';

/** One move through the life of an instance. `from` is null for the first. */
export const statusChanged = defineEvent({
  type: 'dev.odoofleet.instance.status.changed',
  summary: 'The status of an instance changed.',
  direction: 'out',
  schema: v.strictObject({
    instance: fields.instanceId,
    customer: fields.customerId,
    from: v.nullable(fields.word),
    to: fields.word,
    reason: fields.text(500),
    /** Generation of what is wanted that this status belongs to. */
    generation: fields.count,
  }),
  subject: instanceSubject,
  extensions: { partitionkey: (data) => data.instance, tenantid: (data) => data.customer },
  example: {
    instance: 'k3n5q2x7a4bc',
    customer: 'c-1042',
    from: 'starting',
    to: 'running',
    reason: 'The login page answers.',
    generation: 1,
  },
});
export type StatusChanged = InferData<typeof statusChanged>;
