import type { Drift } from '#shared/domain/drift/ports.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { type ClusterPart, clusterParts } from '#shared/domain/instance/ports.ts';
import { driftOfObject, type Wanted } from './apply.ts';
import { differencesOf } from './differences.ts';
import { type Kind, kinds, type Stored } from './kinds.ts';
import { quantityOf } from './quantity.ts';
import { annotationKeys, labelsOf } from './resources/labels.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { volumeClaim } from './resources/volume-claim.ts';
import { configurationFormHash, kindOfPart, objectsOf } from './wanted-objects.ts';

/** An object of a survey. Of a configuration Secret only the hash of its content is kept, of credentials nothing. */
export type Found = Stored & {
  apiVersion?: string;
  kind?: string;
  spec?: { resources?: { requests?: { storage?: unknown } } };
  contentHash?: string | undefined;
};

/** The objects that carry one instance's id, by kind and name. */
export type FoundObjects = { get(kind: Kind, name: string): Found | undefined };

/** Parts a terminated instance has no more. Its configuration may stay as long as its data. */
const partsOfLiving = ['network-policy', 'deployment', 'service', 'ingress'] as const satisfies readonly ClusterPart[];

/**
 * What is amiss with one instance's objects, by the builders that write them; no credentials are needed. What it calls changed,
 * a look at that part calls missing, and an apply puts right.
 */
export function driftOfInstance(
  instance: Instance,
  found: FoundObjects,
  options: { settings: ClusterSettings; ingressesOfOthers?: ReadonlyMap<string, string> },
): Drift[] {
  const lasting = [...credentialsDrift(instance, found), ...volumeDrift(instance, found, options.settings)];
  if (instance.desiredState === 'terminated') return [...lasting, ...leftOver(instance, found)];
  return [
    ...lasting,
    ...configurationDrift(instance, found, options.settings),
    ...clusterParts.flatMap((part) =>
      part === 'volume' || part === 'configuration' ? [] : partDrift(instance, part, { found, ...options }),
    ),
    ...hostClash(instance, options.ingressesOfOthers),
  ];
}

function partDrift(
  instance: Instance,
  part: Exclude<ClusterPart, 'configuration' | 'volume'>,
  { found, settings }: { found: FoundObjects; settings: ClusterSettings },
): Drift[] {
  const { databaseServer } = instance;
  if (databaseServer === null) return [];
  const kind = kindOfPart[part];
  const wanted = objectsOf(instance, part, {
    settings,
    databaseServer,
    configurationHash: writtenConfiguration(instance, found),
  });
  const drifts = wanted.flatMap((object) => {
    const there = found.get(kind, object.metadata?.name ?? '');
    if (there === undefined) return [missing(part, object)];
    const paths = telling(driftOfObject(there, { kind, wanted: object }));
    return part === 'deployment' ? deploymentDrift(object, paths) : changed(part, object, paths);
  });
  return [...drifts, ...unwanted(instance, part, { found, wanted })];
}

/** A Deployment's differences by what they mean for whoever uses it. */
function deploymentDrift(object: Wanted, paths: readonly string[]): Drift[] {
  const isReplicas = (path: string) => path === 'spec.replicas';
  const isImage = (path: string) => /\.containers\[\d+\]\.image$/.test(path);
  const isResources = (path: string) => /\.containers\[\d+\]\.resources(\.|$)/.test(path);
  const isOther = (path: string) => !isReplicas(path) && !isImage(path) && !isResources(path);
  const of = (kind: Drift['kind'], fits: (path: string) => boolean) =>
    paths.some(fits) ? [{ kind, detail: detailOf(object, paths.filter(fits)) }] : [];
  return [
    ...of('replicas-wrong', isReplicas),
    ...of('image-wrong', isImage),
    ...of('resources-wrong', isResources),
    ...changed('deployment', object, paths.filter(isOther)),
  ];
}

/** The second object of a part, where there is one and the record wants none. */
function unwanted(
  instance: Instance,
  part: ClusterPart,
  { found, wanted }: { found: FoundObjects; wanted: readonly Wanted[] },
): Drift[] {
  if (part !== 'deployment' && part !== 'ingress') return [];
  const { cronDeployment, domainsIngress } = namesOf(instance.id);
  const [name, why] =
    part === 'deployment' ? [cronDeployment, 'the plan has none'] : [domainsIngress, 'the record has no such host'];
  const isWanted = wanted.some(({ metadata }) => metadata?.name === name);
  if (isWanted || found.get(kindOfPart[part], name) === undefined) return [];
  return [{ kind: `${part}-changed`, detail: `${name}: ${why}` }];
}

/** The hash its pods should bear: of the configuration as it was written last, or, without a Secret, their own. */
function writtenConfiguration(instance: Instance, found: FoundObjects): string {
  const { configurationSecret, object } = namesOf(instance.id);
  const written = found.get(kinds.secret, configurationSecret)?.metadata?.annotations?.[annotationKeys.configuration];
  const deployment = found.get(kinds.deployment, object) as
    | { spec?: { template?: { metadata?: { annotations?: Record<string, string> } } } }
    | undefined;
  return written ?? deployment?.spec?.template?.metadata?.annotations?.[annotationKeys.configuration] ?? '';
}

function configurationDrift(instance: Instance, found: FoundObjects, settings: ClusterSettings): Drift[] {
  const { databaseServer } = instance;
  if (databaseServer === null) return [];
  const name = namesOf(instance.id).configurationSecret;
  const wanted: Wanted = {
    metadata: {
      name,
      labels: labelsOf(instance.id),
      annotations: { [annotationKeys.form]: configurationFormHash(instance, { settings, databaseServer }) },
    },
  };
  const there = found.get(kinds.secret, name);
  if (there === undefined) return [missing('configuration', wanted)];
  const written = there.metadata?.annotations?.[annotationKeys.configuration];
  const isIntact = written !== undefined && there.contentHash === written;
  return changed('configuration', wanted, [...differencesOf(there, wanted), ...(isIntact ? [] : ['data'])]);
}

function credentialsDrift(instance: Instance, found: FoundObjects): Drift[] {
  const name = namesOf(instance.id).credentialsSecret;
  return found.get(kinds.secret, name) === undefined ? [{ kind: 'credentials-missing', detail: name }] : [];
}

function volumeDrift(instance: Instance, found: FoundObjects, settings: ClusterSettings): Drift[] {
  const wanted = volumeClaim(instance, settings);
  const there = found.get(kinds.volumeClaim, wanted.metadata?.name ?? '');
  if (there === undefined) return [missing('volume', wanted)];
  const size = quantityOf(there.spec?.resources?.requests?.storage);
  const isOversized = size !== undefined && size > (quantityOf(`${instance.plan.diskGib}Gi`) ?? size);
  return [
    ...changed('volume', wanted, driftOfObject(there, { kind: kinds.volumeClaim, wanted })),
    ...(isOversized ? [{ kind: 'volume-oversized' as const, detail: detailOf(wanted, ['the plan has less']) }] : []),
  ];
}

function leftOver(instance: Instance, found: FoundObjects): Drift[] {
  const { object, cronDeployment, domainsIngress } = namesOf(instance.id);
  const second: Partial<Record<ClusterPart, string>> = { deployment: cronDeployment, ingress: domainsIngress };
  const there = partsOfLiving.flatMap((part) => {
    const kind = kindOfPart[part];
    const names = second[part] === undefined ? [object] : [object, second[part]];
    return names.filter((name) => found.get(kind, name) !== undefined).map((name) => `${kind.kind} ${name}`);
  });
  return there.length === 0 ? [] : [{ kind: 'still-in-cluster', detail: there.join(', ') }];
}

function hostClash(instance: Instance, others: ReadonlyMap<string, string> | undefined): Drift[] {
  return [instance.host, ...instance.domains].flatMap((host): Drift[] => {
    const other = others?.get(host);
    return other === undefined ? [] : [{ kind: 'host-clash', detail: `${host} is also in Ingress ${other}` }];
  });
}

function missing(part: ClusterPart, { metadata }: Wanted): Drift {
  return { kind: `${part}-missing`, detail: metadata?.name ?? '' };
}

function changed(part: ClusterPart, object: Wanted, paths: readonly string[]): Drift[] {
  return paths.length === 0 ? [] : [{ kind: `${part}-changed`, detail: detailOf(object, paths) }];
}

/** The mark of the last write says less than anything else that differs. */
function telling(paths: readonly string[]): readonly string[] {
  const others = paths.filter((path) => path !== mark);
  return others.length === 0 ? paths : others;
}

const mark = `metadata.annotations["${annotationKeys.desired}"]`;

function detailOf({ metadata }: Wanted, paths: readonly string[]): string {
  return `${metadata?.name}: ${paths.map((path) => (path === mark ? 'written for something else' : path)).join(', ')}`;
}
