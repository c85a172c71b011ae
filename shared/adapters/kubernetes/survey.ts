import type { Orphan, Survey } from '#shared/domain/drift/ports.ts';
import type { Seen } from '#shared/domain/observation/observation.ts';
import type { KubernetesApi } from './client.ts';
import { driftOfInstance, type Found, type FoundObjects } from './drift.ts';
import { type Kind, kinds, type Stored } from './kinds.ts';
import { listObjects } from './list.ts';
import { configurationHashOf } from './resources/configuration-secret.ts';
import { labelKeys, managedBy } from './resources/labels.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { seenOf } from './seen.ts';

/** What an instance is made of. Jobs are operations' and go by themselves. */
const surveyedKinds: readonly Kind[] = [
  kinds.deployment,
  kinds.service,
  kinds.ingress,
  kinds.secret,
  kinds.volumeClaim,
  kinds.networkPolicy,
];

/**
 * Lists all objects of one shard of instances: seven lists at a time, a call per page and never one per instance. No
 * secret stays in what it returns: of a configuration the hash is kept, of credentials that they are there.
 */
export async function surveyShard(
  api: KubernetesApi,
  settings: ClusterSettings,
  shard: string,
  options: { pageSize?: number } = {},
): Promise<Survey> {
  const { namespace } = settings;
  const labelSelector = `${labelKeys.managedBy}=${managedBy},${labelKeys.shard}=${shard}`;
  const objects = new Map<string, Map<string, Found>>();
  const seen = new Map<string, Seen>();
  const readKind = async (kind: Kind) => {
    for await (const object of listObjects<Listed>(api, kind, { namespace, labelSelector, ...options })) {
      const owner = object.metadata?.labels?.[labelKeys.owner] ?? '';
      const ofOwner = objects.get(owner) ?? new Map<string, Found>();
      const name = object.metadata?.name ?? '';
      objects.set(owner, ofOwner.set(keyOf(kind, name), withoutSecrets(kind, object)));
      const news = {
        kind: kind.kind,
        spec: object.spec,
        status: object.status,
        metadata: { ...object.metadata, name },
      };
      const says = seenOf({ object: news, isDeleted: false }, owner);
      if (says !== undefined) seen.set(owner, says);
    }
  };
  const [ingressesOfOthers] = await Promise.all([
    listIngressesOfOthers(api, { namespace, ...options }),
    ...surveyedKinds.map(readKind),
  ]);
  return {
    driftOf(instance) {
      const ofInstance = objects.get(instance.id);
      const found: FoundObjects = { get: (kind, name) => ofInstance?.get(keyOf(kind, name)) };
      return driftOfInstance(instance, found, { settings, ingressesOfOthers });
    },
    seenOf: (instanceId) => seen.get(instanceId),
    orphans: (known) => orphansAmong(objects, known),
  };
}

type Listed = Stored & {
  metadata?: { managedFields?: unknown };
  data?: Record<string, string>;
  status?: unknown;
  spec?: NonNullable<Found['spec']> & { rules?: readonly { host?: string }[] };
};

const keyOf = ({ kind }: Kind, name: string): string => `${kind} ${name}`;

/**
 * What a survey keeps of an object: who wrote which field and what its controller says take most of the room. A list's items
 * do not say what they are.
 */
function withoutSecrets(
  { apiVersion, kind }: Kind,
  { data, status: _status, metadata = {}, ...object }: Listed,
): Found {
  const { managedFields: _managedFields, ...kept } = metadata;
  const contentHash = configurationHashOf(data);
  return { ...object, apiVersion, kind, metadata: kept, ...(contentHash === undefined ? {} : { contentHash }) };
}

/**
 * Hosts of Ingresses of the namespace that bear no shard: made by hand, or by somebody else. A host that one of ours was
 * given by hand is found as a change of that one.
 */
async function listIngressesOfOthers(
  api: KubernetesApi,
  options: { namespace: string; pageSize?: number },
): Promise<ReadonlyMap<string, string>> {
  const hosts = new Map<string, string>();
  const others = listObjects<Listed>(api, kinds.ingress, { ...options, labelSelector: `!${labelKeys.shard}` });
  for await (const { metadata, spec } of others) {
    for (const { host } of spec?.rules ?? []) if (host !== undefined) hosts.set(host, metadata?.name ?? '');
  }
  return hosts;
}

function orphansAmong(
  objects: ReadonlyMap<string, ReadonlyMap<string, Found>>,
  known: ReadonlySet<string>,
): readonly Orphan[] {
  return [...objects]
    .filter(([owner]) => !known.has(owner))
    .flatMap(([owner, ofOwner]) =>
      [...ofOwner.keys()].map((name): Orphan => {
        const whose = owner === '' ? 'no instance' : `instance ${owner}`;
        return { kind: 'orphan-object', name, instanceId: owner || null, detail: `labelled as of ${whose}` };
      }),
    );
}
