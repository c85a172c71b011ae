import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { type Answer, until } from '../cluster.fixture.ts';
import { type FleetUnderTest, publisher } from './fleet.fixture.ts';

// What can be asked for and seen of one instance on the cluster.

export const tenantNamespace = 'odoo-tenants';
export const functionNamespace = 'odoo-fleet';

export type InstanceRow = { status: string; status_reason: string | null; host: string | null; desired_state: string };

export async function rowOf(fleet: FleetUnderTest, instanceId: string): Promise<InstanceRow> {
  const text = 'select status, status_reason, host, desired_state from instances where id = $1';
  const [row] = await fleet.rows<InstanceRow>(text, [instanceId]);
  if (row === undefined) throw new Error(`there is no instance ${instanceId}`);
  return row;
}

/** The operation that an event has become; waits for it. */
export function operationOf(fleet: FleetUnderTest, eventId: string): Promise<string> {
  const text = 'select operation_id, outcome from inbox where source = $1 and id = $2';
  return until(
    `event ${eventId} to be taken`,
    async () => {
      const [taken] = await fleet.rows<{ operation_id: string | null; outcome: string }>(text, [publisher, eventId]);
      if (taken !== undefined && taken.operation_id === null) throw new Error(`event ${eventId} was ${taken.outcome}`);
      return taken?.operation_id ?? undefined;
    },
    { limitMs: 60_000 },
  );
}

/** Waits until an operation has ended well. @throws Error at once when it failed. */
export async function succeeded(fleet: FleetUnderTest, operationId: string): Promise<void> {
  const text = 'select kind, state, step, waiting_for, error_text from operations where id = $1';
  type Row = {
    kind: string;
    state: string;
    step: string | null;
    waiting_for: string | null;
    error_text: string | null;
  };
  const isOver = async () => {
    const [row] = await fleet.rows<Row>(text, [operationId]);
    if (row?.state === 'failed' || row?.state === 'cancelled') {
      throw new Error(`${row.kind} was ${row.state} in ${row.step}: ${row.error_text}`);
    }
    return row?.state === 'succeeded';
  };
  await until(`operation ${operationId} to end`, isOver, { limitMs: 120_000 });
}

/** Asks for an operation at the Broker, waits until it has ended well, and returns the instance's status. */
export async function carryOut(
  fleet: FleetUnderTest,
  kind: string,
  instanceId: string,
  data: Record<string, unknown> = {},
): Promise<string> {
  const event = await fleet.request(kind, instanceId, data);
  await succeeded(fleet, await operationOf(fleet, event));
  return (await rowOf(fleet, instanceId)).status;
}

type Metadata = { name: string; deletionTimestamp?: string };
type Backend = { service: { name: string; port: { name?: string; number?: number } } };
type Ingress = { spec: { rules: { host: string; http: { paths: { path: string; backend: Backend }[] } }[] } };

/** The pods a selector finds, without those that are going away. */
export async function podsOf(fleet: FleetUnderTest, namespace: string, selector: string): Promise<string[]> {
  const text = await fleet.kubectl.run(['-n', namespace, 'get', 'pods', '-l', selector, '-o', 'json']);
  const { items } = JSON.parse(text) as { items: { metadata: Metadata }[] };
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.name);
}

/** The instance's Odoo; pods of Jobs that have ended stay for a while. */
export function odooPodsOf(fleet: FleetUnderTest, instanceId: string): Promise<string[]> {
  return podsOf(fleet, tenantNamespace, `odoofleet.dev/instance=${instanceId},app.kubernetes.io/component=web`);
}

/** Kinds and names of the instance's objects, its pods not counted. */
export async function objectsOf(fleet: FleetUnderTest, instanceId: string): Promise<string[]> {
  const kinds = 'deployments,services,ingresses,networkpolicies,persistentvolumeclaims,secrets,jobs';
  const selector = `odoofleet.dev/instance=${instanceId}`;
  const text = await fleet.kubectl.run(['-n', tenantNamespace, 'get', kinds, '-l', selector, '-o', 'name']);
  return text.split('\n').filter(Boolean).sort();
}

/** Where the Ingress of an instance leads: its host, and the Service and port behind each path. */
export async function routesOf(fleet: FleetUnderTest, instanceId: string): Promise<{ host: string; behind: string[] }> {
  const ingress = await fleet.kubectl.run(['-n', tenantNamespace, 'get', `ingress/odoo-${instanceId}`, '-o', 'json']);
  const [rule] = (JSON.parse(ingress) as Ingress).spec.rules;
  const behind = (rule?.http.paths ?? []).map(({ path, backend: { service } }) => {
    return `${path} ${service.name}:${service.port.name ?? service.port.number}`;
  });
  return { host: rule?.host ?? '', behind };
}

/** Asks for a page as an ingress controller does: the Service that the Ingress names, by the instance's host. */
export async function visit(
  fleet: FleetUnderTest,
  instanceId: string,
  options: { path?: string; accept?: string; timeoutMs?: number } = {},
): Promise<Answer> {
  const { path = '/web/login', accept = 'text/html', timeoutMs = 10_000 } = options;
  const { host, behind } = await routesOf(fleet, instanceId);
  const [, service = '', port = ''] = /^\/ ([^:]+):(.+)$/.exec(behind.at(-1) ?? '') ?? [];
  const number = /^\d+$/.test(port) ? port : await portNamed(fleet, service, port);
  const url = `http://${service}.${tenantNamespace}.svc.cluster.local:${number}${path}`;
  return fleet.fromPod(url, { headers: { host, accept }, timeoutMs });
}

function portNamed(fleet: FleetUnderTest, service: string, name: string): Promise<string> {
  const path = `jsonpath={.spec.ports[?(@.name=="${name}")].port}`;
  return fleet.kubectl.run(['-n', tenantNamespace, 'get', `service/${service}`, '-o', path]);
}

/** Waits until a visitor is answered with the status. */
export function answers(fleet: FleetUnderTest, instanceId: string, status: number): Promise<Answer> {
  const ask = async () => {
    const answer = await visit(fleet, instanceId);
    return answer.status === status ? answer : undefined;
  };
  return until(`a visitor of ${instanceId} to be answered ${status}`, ask, { limitMs: 60_000 });
}

/** A statement in the instance's database, or another one of its server. */
export function inDatabase<Row extends object>(
  fleet: FleetUnderTest,
  database: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  return queryAsSuperuser<Row>(fleet.servers.odoo, text, { database, values });
}

/** How often an event of the type was sent for an operation. */
export async function toldOf(fleet: FleetUnderTest, operationId: string, type: string): Promise<number> {
  const text = `select id from outbox where type = $1 and data ->> 'operation' = $2`;
  return (await fleet.rows(text, [type, operationId])).length;
}
