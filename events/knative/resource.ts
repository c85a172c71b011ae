import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { foreignSubject } from '#events/subjects.ts';

/**
 * The part we read of the Kubernetes object that an ApiServerSource (mode Resource) sends; the rest passes unread.
 * Hints only: ids are random, objects that exist when the source starts are never sent, some events are lost.
 */
export const resource = v.looseObject({
  apiVersion: fields.text(253),
  kind: fields.text(63),
  metadata: v.looseObject({
    name: fields.text(253),
    namespace: fields.text(63),
    uid: fields.text(64),
    labels: v.optional(v.record(v.string(), v.string()), {}),
    generation: v.optional(fields.count),
    deletionTimestamp: v.optional(fields.text(64)),
  }),
  status: v.optional(v.looseObject({})),
});
export type Resource = v.InferOutput<typeof resource>;

export const resourceSubject = foreignSubject('path of the object in the API, as the source sends it');

export const exampleResource = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'odoo-k3n5q2x7a4bc',
    namespace: 'odoo-tenants',
    uid: '6f2b0a52-6f0e-4b0e-9a55-2a8f6f6f1c11',
    labels: { 'app.kubernetes.io/managed-by': 'odoo-fleet' },
    generation: 1,
  },
  status: { observedGeneration: 1, replicas: 1, availableReplicas: 1 },
};
