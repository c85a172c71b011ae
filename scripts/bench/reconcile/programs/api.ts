// A Kubernetes API server that only lists: pages of what the product's own builders make, with as much of managed
// fields and status as a real server adds. It makes each page when it is asked for, so its memory stays small.
import { createServer } from 'node:https';
import { desiredHash, type Wanted } from '#shared/adapters/kubernetes/apply.ts';
import { configurationHash, configurationSecret } from '#shared/adapters/kubernetes/resources/configuration-secret.ts';
import { credentialsSecret } from '#shared/adapters/kubernetes/resources/credentials-secret.ts';
import { annotationKeys } from '#shared/adapters/kubernetes/resources/labels.ts';
import { configurationFormHash, objectsOf } from '#shared/adapters/kubernetes/wanted-objects.ts';
import { ensureIdentity } from '#shared/sandbox/kubernetes/certificates.ts';
import { writeKubeconfig } from '#shared/sandbox/kubernetes/kubeconfig.ts';
import { instanceIdOf, instanceOf, settings } from '../fleet.ts';

const folder = process.env['FOLDER'] ?? '';
const odooConf = `[options]\n${'option = some value\n'.repeat(40)}`;
const credentials = { databasePassword: 'of-the-database', adminPassword: 'of-the-admin', masterPassword: 'of-master' };
const managedFields = Array.from({ length: 3 }, (_, index) => ({
  manager: 'odoo-fleet',
  operation: 'Apply',
  apiVersion: 'v1',
  time: '2026-01-01T00:00:00Z',
  fieldsType: 'FieldsV1',
  fieldsV1: Object.fromEntries(Array.from({ length: 12 }, (_item, field) => [`f:field-${index}-${field}`, {}])),
}));

function stored(wanted: Wanted, annotations: Record<string, string>): object {
  return {
    ...wanted,
    metadata: {
      ...wanted.metadata,
      uid: '0199a000-0000-7000-8000-000000000001',
      resourceVersion: '1',
      annotations: { ...wanted.metadata?.annotations, [annotationKeys.fence]: '1', ...annotations },
      managedFields,
    },
    status: { observedGeneration: 1, conditions: [{ type: 'Available', status: 'True' }] },
  };
}

const marked = (wanted: Wanted) => stored(wanted, { [annotationKeys.desired]: desiredHash(wanted) });

/** The objects of one instance that a list of this kind holds. */
function objectsOfKind(number: number, plural: string, namespace: string): object[] {
  const instance = instanceOf(number);
  const { databaseServer } = instance;
  if (databaseServer === null) throw new Error('every instance of the bench is placed');
  const own = { ...settings, namespace };
  const basis = { settings: own, databaseServer, configurationHash: configurationHash(odooConf) };
  const part = (name: 'deployment' | 'service' | 'ingress' | 'volume' | 'network-policy') =>
    objectsOf(instance, name, basis).map(marked);
  switch (plural) {
    case 'deployments':
      return part('deployment');
    case 'services':
      return part('service');
    case 'ingresses':
      return part('ingress');
    case 'persistentvolumeclaims':
      return part('volume');
    case 'networkpolicies':
      return part('network-policy');
    case 'secrets': {
      const formHash = configurationFormHash(instance, { settings: own, databaseServer });
      return [
        marked(configurationSecret(instance.id, namespace, { odooConf, formHash })),
        stored(credentialsSecret(instance.id, namespace, credentials), {}),
      ];
    }
    default:
      throw new Error(`the bench has no ${plural}`);
  }
}

const shardsOfSize = new Map<number, Map<string, number[]>>();

function numbersOf(size: number, shard: string): readonly number[] {
  let shards = shardsOfSize.get(size);
  if (shards === undefined) {
    const numbers = Array.from({ length: size }, (_, number) => number);
    shards = Map.groupBy(numbers, (number) => instanceIdOf(number).slice(0, 1));
    shardsOfSize.set(size, shards);
  }
  return shards.get(shard) ?? [];
}

/** `limit` counts objects; an instance has two Secrets. */
function page(url: URL): { items: object[]; metadata: { continue?: string } } {
  const [, size = '0', plural = ''] = /\/namespaces\/bench-(\d+)\/([a-z]+)$/.exec(url.pathname) ?? [];
  const selector = url.searchParams.get('labelSelector') ?? '';
  const shard = /shard=([a-z2-7])/.exec(selector)?.[1];
  // Ingresses of others: there are none.
  if (shard === undefined) return { items: [], metadata: {} };
  const numbers = numbersOf(Number(size), shard);
  const limit = Number(url.searchParams.get('limit') ?? numbers.length * 2);
  const from = Number(url.searchParams.get('continue') ?? 0);
  const instancesPerPage = plural === 'secrets' ? Math.floor(limit / 2) : limit;
  const next = from + instancesPerPage;
  const namespace = `bench-${size}`;
  const items = numbers.slice(from, next).flatMap((number) => objectsOfKind(number, plural, namespace));
  return { items, metadata: next < numbers.length ? { continue: String(next) } : {} };
}

const identity = await ensureIdentity(folder);
const server = createServer(
  { cert: identity.certificate, key: identity.key, keepAliveTimeout: 60_000 },
  (request, response) => {
    const body = JSON.stringify({
      kind: 'List',
      apiVersion: 'v1',
      ...page(new URL(request.url ?? '/', 'https://api')),
    });
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
      .end(body);
  },
);
server.listen(Number(process.env['PORT']), '127.0.0.1', () => {
  const url = `https://127.0.0.1:${process.env['PORT']}`;
  void writeKubeconfig(process.env['KUBECONFIG'] ?? '', { url, ...identity });
});
