import { randomUUID } from 'node:crypto';
import { subscriptionCreated } from '#events/billing/subscription-created.ts';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { resourceUpdate } from '#events/knative/resource-update.ts';
import { knownInstance } from './world.ts';

/** An event as a request. */
export type ColdEvent = { headers: Record<string, string>; body: string };

/** A fresh event that a function accepts, by function: nothing of it is a duplicate. */
export const freshEvents = {
  billing: () => {
    const data = { ...subscriptionCreated.example, subscription: `s-${unique()}`, customer: 'c-1' };
    return event(subscriptionCreated.type, data, data.subscription);
  },
  observe: () => {
    const example = resourceUpdate.example as { metadata: { name: string; labels?: Record<string, string> } };
    const name = `odoo-${knownInstance}`;
    const labels = { ...example.metadata.labels, 'fleet.odoo/instance': knownInstance };
    const data = { ...example, metadata: { ...example.metadata, name, labels } };
    return event(resourceUpdate.type, data, `/apis/apps/v1/namespaces/odoo-tenants/deployments/${name}`);
  },
  'dead-letter': () => {
    const letter = event('dev.odoofleet.operation.advance', {}, undefined);
    const sink = {
      'ce-knativeerrorcode': '503',
      'ce-knativeerrordest': 'http://provision.odoo-fleet.svc.cluster.local',
    };
    return { ...letter, headers: { ...letter.headers, ...sink } };
  },
  provision: () => {
    const { instance: _, ...example } = provisionRequested.example as Record<string, unknown> & { instance?: string };
    const data = { ...example, customer: 'c-1', name: `n-${unique()}`, modules: [], idempotencykey: unique() };
    return event(provisionRequested.type, data, undefined);
  },
} satisfies Record<string, () => ColdEvent>;
export type ColdFunction = keyof typeof freshEvents;

const unique = () => randomUUID().slice(-12);

function event(type: string, data: unknown, subject: string | undefined): ColdEvent {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': randomUUID(),
    'ce-source': 'urn:bench',
    'ce-type': type,
    'ce-time': new Date().toISOString(),
    ...(subject === undefined ? {} : { 'ce-subject': subject }),
  };
  return { headers, body: JSON.stringify(data) };
}
