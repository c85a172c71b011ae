import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import { resourceAdd } from '#events/knative/resource-add.ts';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import { resourceUpdate } from '#events/knative/resource-update.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { storeDeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import type { HostRequest } from '#shared/runtime/http-function.ts';
import { insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { observer } from './handler.ts';

/** An event as the cluster's source sends it. */
export type ClusterMessage = { id?: string; type?: string; time?: string; data: unknown };

export type Answered = { status: number; outcome: string };

/** The function as it runs, without the HTTP server around it. */
export function openFunction(
  database: Database,
  flush: () => Promise<void> = async () => {},
): (message: ClusterMessage) => Promise<Answered> {
  const handler = eventFunction({
    name: 'observe',
    definitions: [resourceAdd, resourceUpdate, resourceDelete],
    log: pino({ level: 'silent' }),
    authorise: async () => ({ customerId: null }),
    handle: observer({ database, eventSource: 'urn:odoo-fleet', flush }),
    storeDead: (event) => storeDeadEvent(database, event),
  });
  return async ({ id = randomUUID(), type = resourceUpdate.type, time, data }) => {
    const headers = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': 'https://10.96.0.1:443',
      'ce-type': type,
      ...(time === undefined ? {} : { 'ce-time': time }),
    };
    const rawBody = Buffer.from(JSON.stringify(data));
    const answered: Answered = { status: 0, outcome: '' };
    const response = {
      writeHead: (status: number, given: Record<string, string>) =>
        Object.assign(answered, { status, outcome: given['x-outcome'] }),
      end: () => undefined,
    };
    const request = { method: 'POST', url: '/', headers, rawHeaders: [], rawBody };
    await handler(request as unknown as HostRequest, response as unknown as ServerResponse);
    return answered;
  };
}

export type DeploymentState = { available?: number; replicas?: number; version?: number; name?: string };

/** A Deployment's object, with as many pods available as stated. */
export function deploymentOf(instanceId: string, state: DeploymentState = {}) {
  const { available = 1, replicas = 1, version, name = `odoo-${instanceId}` } = state;
  const isEnough = available >= replicas;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name,
      namespace: 'odoo-tenants',
      uid: '6f2b0a52-6f0e-4b0e-9a55-2a8f6f6f1c11',
      generation: 1,
      labels: { 'app.kubernetes.io/managed-by': 'odoo-fleet', 'odoofleet.dev/instance': instanceId },
      ...(version === undefined ? {} : { resourceVersion: String(version) }),
    },
    spec: { replicas },
    status: {
      observedGeneration: 1,
      replicas,
      ...(available === 0 ? {} : { availableReplicas: available }),
      conditions: [
        {
          type: 'Available',
          status: isEnough ? 'True' : 'False',
          reason: isEnough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
          message: isEnough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
        },
      ],
    },
  };
}

/** Adds an instance that was brought about. */
export async function insertSettledInstance(queryable: Queryable, id: string, status = 'running'): Promise<void> {
  await insertTestInstance(queryable, id);
  await queryable.query(
    `update instances set status = $2, observed_generation = generation,
       desired_state = case when $2 = 'stopped' then 'stopped' else desired_state end
     where id = $1`,
    [id, status],
  );
}
