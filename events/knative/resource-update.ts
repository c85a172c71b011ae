import { defineEvent } from '#events/envelope.ts';
import { exampleResource, resource, resourceSubject } from './resource.ts';

/** Sent by Knative's ApiServerSource. */
export const resourceUpdate = defineEvent({
  type: 'dev.knative.apiserver.resource.update',
  summary: 'A watched object of the cluster changed.',
  direction: 'in',
  schema: resource,
  subject: resourceSubject,
  example: exampleResource,
});
