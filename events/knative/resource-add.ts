import { defineEvent } from '#events/envelope.ts';
import { exampleResource, resource, resourceSubject } from './resource.ts';

/** Sent by Knative's ApiServerSource. */
export const resourceAdd = defineEvent({
  type: 'dev.knative.apiserver.resource.add',
  summary: 'A watched object of the cluster was created.',
  direction: 'in',
  schema: resource,
  subject: resourceSubject,
  example: exampleResource,
});
