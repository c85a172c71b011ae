import { suspensionReasons } from '#shared/domain/instance/instance.ts';
import { instanceIdPattern, namesOf } from '#shared/domain/instance/names.ts';
import type { ClusterHoldings } from '#shared/domain/platform/world.ts';
import type { KubernetesApi } from './client.ts';
import { type Kind, kinds, type Stored } from './kinds.ts';
import { listObjects } from './list.ts';
import { suspensionPageService } from './resources/ingress.ts';
import { annotationKeys, labelKeys, managedBy } from './resources/labels.ts';
import { configurationKey } from './resources/pod.ts';
import { readRecord, recordAnnotation } from './resources/record.ts';
import type { ClusterSettings } from './resources/settings.ts';

const tracedKinds: readonly Kind[] = [
  kinds.deployment,
  kinds.service,
  kinds.ingress,
  kinds.secret,
  kinds.volumeClaim,
  kinds.networkPolicy,
];

type Backend = { service?: { name?: string; port?: { name?: string } } };
type Traced = Stored & {
  data?: Readonly<Record<string, string>>;
  spec?: {
    replicas?: number;
    template?: { metadata?: { annotations?: Record<string, string> } };
    rules?: readonly { host?: string; http?: { paths?: readonly { backend?: Backend }[] } }[];
  };
};

/**
 * What the cluster holds of every instance, by its id: for whoever has to put records right by it. It compares nothing and
 * keeps nothing secret.
 */
export async function readHoldings(
  api: KubernetesApi,
  { namespace }: Pick<ClusterSettings, 'namespace'>,
): Promise<Map<string, ClusterHoldings>> {
  const labelSelector = `${labelKeys.managedBy}=${managedBy},${labelKeys.shard}`;
  const holdings = new Map<string, ClusterHoldings>();
  for (const kind of tracedKinds) {
    for await (const object of listObjects<Traced>(api, kind, { namespace, labelSelector })) {
      const id = object.metadata?.labels?.[labelKeys.owner] ?? '';
      if (!instanceIdPattern.test(id) || object.metadata?.deletionTimestamp !== undefined) continue;
      const none: ClusterHoldings = {
        fence: 0,
        deployment: undefined,
        ingress: undefined,
        hasVolume: false,
        record: undefined,
        databaseServer: undefined,
      };
      holdings.set(id, added(holdings.get(id) ?? none, { id, kind, object }));
    }
  }
  return holdings;
}

function added(
  holdings: ClusterHoldings,
  { id, kind, object }: { id: string; kind: Kind; object: Traced },
): ClusterHoldings {
  const { name = '', annotations = {} } = object.metadata ?? {};
  const written = Number(annotations[annotationKeys.fence] ?? 0);
  const fence = Math.max(holdings.fence, Number.isSafeInteger(written) ? written : 0);
  const isMain = name === namesOf(id).object;
  if (kind === kinds.volumeClaim && isMain) {
    return { ...holdings, fence, hasVolume: true, record: readRecord(annotations[recordAnnotation]) };
  }
  if (kind === kinds.secret && name === namesOf(id).configurationSecret) {
    return { ...holdings, fence, databaseServer: databaseServerOf(object) };
  }
  if (kind === kinds.deployment && isMain) return { ...holdings, fence, deployment: deploymentOf(object) };
  if (kind === kinds.ingress && isMain) return { ...holdings, fence, ingress: ingressOf(object) };
  return { ...holdings, fence };
}

/** Of odoo.conf two lines only. */
function databaseServerOf({ data }: Traced): ClusterHoldings['databaseServer'] {
  const text = Buffer.from(data?.[configurationKey] ?? '', 'base64').toString();
  const valueOf = (option: string) => new RegExp(`^${option} *= *(\\S+) *$`, 'm').exec(text)?.[1];
  const [host, port] = [valueOf('db_host'), Number(valueOf('db_port'))];
  return host !== undefined && Number.isSafeInteger(port) ? { host, port } : undefined;
}

function deploymentOf({ spec }: Traced): ClusterHoldings['deployment'] {
  const restartedBy = spec?.template?.metadata?.annotations?.[annotationKeys.restarted] ?? null;
  return { replicas: spec?.replicas ?? 1, restartedBy };
}

function ingressOf({ spec }: Traced): ClusterHoldings['ingress'] {
  const [rule] = spec?.rules ?? [];
  const backend = rule?.http?.paths?.at(-1)?.backend?.service;
  const isSuspended = backend?.name === suspensionPageService;
  const suspendedFor = isSuspended ? suspensionReasons.find((reason) => reason === backend?.port?.name) : undefined;
  return { host: rule?.host ?? '', suspendedFor };
}
