import { defineEvent } from '#events/envelope.ts';
import { exampleResource, resource, resourceSubject } from './resource.ts';

/** Sent by Knative's ApiServerSource. */
export const resourceDelete = defineEvent({
  type: 'dev.knative.apiserver.resource.delete',
  summary: 'A watched object of the cluster is gone.',
  direction: 'in',
  schema: resource,
  subject: resourceSubject,
  example: exampleResource,
});
