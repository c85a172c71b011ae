import { setTimeout as delay } from 'node:timers/promises';
import { namesOf } from '#shared/domain/instance/names.ts';
import { type Fleet, tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import type { ClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { resources } from '#shared/sandbox/kubernetes/resources.ts';
import type { PostgresServer } from '#shared/sandbox/servers/postgres.ts';
import { asSuperuser } from './superuser.ts';

/** Everything of an instance that lies outside the platform's records. */
export type InstanceTraces = { databases: string[]; roles: string[]; objects: string[] };

/** A statement as the superuser of a server. */
export async function queryAsSuperuser<Row extends object>(
  server: PostgresServer,
  text: string,
  { database = 'postgres', values = [] }: { database?: string; values?: readonly unknown[] } = {},
): Promise<Row[]> {
  return (await asSuperuser(server, (client) => client.query<Row>(text, [...values]), { database })).rows;
}

/** How a test's own connection gets in as superuser. */
export function superuserOptions({ host, port, superuser: user, superuserPassword: password }: PostgresServer) {
  return { host, port, user, password };
}

/** What there is of an instance: whatever has its id in the name; without what Jobs that were removed had. */
export async function tracesOf(fleet: Fleet, cluster: ClusterClient, instanceId: string): Promise<InstanceTraces> {
  const databases = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select datname::text as name from pg_database where strpos(datname, $1) > 0 order by 1`,
    { values: [instanceId] },
  );
  const roles = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select rolname::text as name from pg_roles where strpos(rolname, $1) > 0 order by 1`,
    { values: [instanceId] },
  );
  const objects = await listObjectsAtRest(cluster);
  return {
    databases: databases.map(({ name }) => name),
    roles: roles.map(({ name }) => name),
    objects: objects.filter(({ name }) => name.includes(instanceId)).map(({ kind, name }) => `${kind}/${name}`),
  };
}

export type ListedObject = { kind: string; name: string; object: Record<string, unknown> };

/** All objects of the tenants' namespace, Secrets included. */
export async function listObjects(cluster: ClusterClient): Promise<ListedObject[]> {
  const kinds = resources.filter(({ isNamespaced }) => isNamespaced);
  const lists = await Promise.all(
    kinds.map(async ({ group, version, plural, kind }) => {
      const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
      const { status, body } = await cluster.request('GET', `${root}/namespaces/${tenantNamespace}/${plural}`);
      if (status !== 200) throw new Error(`The list of ${plural} was answered ${status}.`);
      const items = body['items'] as unknown as (Record<string, unknown> & { metadata: { name: string } })[];
      return items.map((object) => ({ kind, name: object.metadata.name, object }));
    }),
  );
  return lists.flat();
}

const orphansEndWithinMs = 30_000;

/** The same, when the pods and Secrets of Jobs that were removed are gone, too: the garbage collector takes them a moment later. */
export async function listObjectsAtRest(cluster: ClusterClient): Promise<ListedObject[]> {
  const deadline = Date.now() + orphansEndWithinMs;
  for (;;) {
    const objects = await listObjects(cluster);
    const jobs = new Set(objects.filter(({ kind }) => kind === 'Job').map(({ name }) => name));
    const isOrphan = ({ object }: ListedObject) => jobsOwning(object).some((job) => !jobs.has(job));
    if (!objects.some(isOrphan) || Date.now() > deadline) return objects;
    await delay(100);
  }
}

function jobsOwning({ metadata }: Record<string, unknown>): string[] {
  const { ownerReferences = [] } = metadata as { ownerReferences?: { kind: string; name: string }[] };
  return ownerReferences.filter(({ kind }) => kind === 'Job').map(({ name }) => name);
}

/** The kinds of objects a provisioned instance has, once each; its Pod not counted. */
export function objectsOf(instanceId: string): string[] {
  const { object, credentialsSecret, configurationSecret } = namesOf(instanceId);
  return [
    `Secret/${configurationSecret}`,
    `Secret/${credentialsSecret}`,
    ...['Service', 'PersistentVolumeClaim', 'Deployment', 'Ingress', 'NetworkPolicy'].map(
      (kind) => `${kind}/${object}`,
    ),
  ];
}
