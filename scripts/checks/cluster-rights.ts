import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { kindOfPart } from '#shared/adapters/kubernetes/wanted-objects.ts';
import type { ClusterPart } from '#shared/domain/instance/ports.ts';

export type Verb = 'get' | 'list' | 'create' | 'patch' | 'delete';
/** Verbs by resource, such as `secrets`. */
export type Rights = Readonly<Record<string, readonly Verb[]>>;

// What the steps call. `applyObject` reads, creates what is not there, and changes by a patch (an apply, or a merge patch
// where that is not enough); `look` and `isGone` read one object.
const applies = (...parts: ClusterPart[]) => parts.map((part) => grant(kindOfPart[part], 'get', 'create', 'patch'));
const removes = (...parts: ClusterPart[]) => parts.map((part) => grant(kindOfPart[part], 'get', 'delete'));
/** A plan without a cron Deployment has the one of a former plan taken away. */
const appliesDeployment = [...applies('deployment'), grant(kinds.deployment, 'delete')];
/** So has the Ingress of customers' hosts that were taken away. */
const appliesIngress = [...applies('ingress'), grant(kinds.ingress, 'delete')];
const readsCredentials = [grant(kinds.secret, 'get')];
const countsPods = [grant(kinds.pod, 'list')];
/** Looks at the Deployments; why they wait is said by their pods. */
const waitsUntilReady = [grant(kinds.deployment, 'get'), ...countsPods];
/** Takes the cron Deployment to 0. One that somebody deletes at that moment would be made, at 0. */
const drainsCron = [...readsCredentials, ...applies('deployment'), ...countsPods];
/** A Job and the Secret it owns, which goes with it; the pods say why one failed. */
const runsJobs = [grant(kinds.job, 'get', 'create', 'delete'), ...applies('configuration'), ...countsPods];
const removesJobs = [grant(kinds.job, 'list', 'delete')];

const bringsDown = [...drainsCron, ...appliesDeployment];
/** The volume of an instance that was made is never made anew: no `create`. */
const bringsUp = [
  ...applies('configuration', 'network-policy', 'service'),
  ...appliesIngress,
  grant(kinds.volumeClaim, 'get', 'patch'),
  ...appliesDeployment,
  ...waitsUntilReady,
];
const takesDown = [
  ...removes('ingress', 'deployment', 'service', 'network-policy', 'configuration'),
  ...removesJobs,
  ...drainsCron,
];
const allParts = Object.keys(kindOfPart) as ClusterPart[];

/** What each function does to the tenants' namespace, as its steps have it. One that is not here has no business there. */
export const wantedRights: Readonly<Record<string, Rights>> = {
  // A cancelled one takes its objects away again, its credentials among them.
  provision: sum(applies(...allParts), removes(...allParts), waitsUntilReady, runsJobs),
  start: sum(bringsUp),
  stop: sum(bringsDown),
  restart: sum(applies('configuration'), bringsDown, waitsUntilReady),
  suspend: sum(appliesIngress, bringsDown),
  resume: sum(bringsUp),
  terminate: sum(takesDown),
  undo: sum(bringsUp),
  purge: sum(takesDown, removes('volume', 'configuration')),
  repair: sum(bringsUp, takesDown),
  // Jobs of the worker; of an instance its pods are counted, as its volume is mounted where they are.
  backup: sum(runsJobs),
  verify: sum(runsJobs),
  export: sum(runsJobs),
  clone: sum(applies(...allParts), removes(...allParts), waitsUntilReady, runsJobs),
  import: sum(applies(...allParts), removes(...allParts), waitsUntilReady, runsJobs),
  // Takes the pods down while the database is exchanged, and up again; looks whether there is a volume to exchange folders on.
  restore: sum(runsJobs, readsCredentials, appliesDeployment, waitsUntilReady, [grant(kinds.volumeClaim, 'get')]),
  // The first password, for the link to it.
  notify: sum(readsCredentials),
  // Lists what there is, builds templates by Jobs, and removes Jobs of backups that were lost. What else it finds is put
  // right by others.
  reconcile: sum(
    allParts.map((part) => grant(kindOfPart[part], 'list')),
    runsJobs,
    removesJobs,
  ),
};

/** Functions that never talk to the cluster. */
export const noRights: readonly string[] = [
  'api',
  'billing',
  'billing-webhook',
  'dead-letter',
  'download',
  'observe',
  'webhook',
];

type Grant = { resource: string; verbs: readonly Verb[] };

function grant({ plural }: { plural: string }, ...verbs: Verb[]): Grant {
  return { resource: plural, verbs };
}

function sum(...grants: readonly (readonly Grant[])[]): Rights {
  const rights: Record<string, readonly Verb[]> = {};
  for (const { resource, verbs } of grants.flat()) {
    rights[resource] = [...new Set([...(rights[resource] ?? []), ...verbs])];
  }
  return rights;
}

/** What a Role gives too much or too little, a line each. Pure. */
export function rightsMistakes(roles: Readonly<Record<string, Rights>>): string[] {
  const names = [...new Set([...Object.keys(wantedRights), ...Object.keys(roles)])];
  return names.flatMap((name) => {
    const [wanted, given] = [wantedRights[name] ?? {}, roles[name] ?? {}];
    return [...new Set([...Object.keys(wanted), ...Object.keys(given)])].flatMap((resource) => [
      ...lacking(wanted[resource], given[resource]).map(
        (verb) => `Role ${name} does not allow to ${verb} ${resource}.`,
      ),
      ...lacking(given[resource], wanted[resource]).map(
        (verb) => `Role ${name} allows to ${verb} ${resource}, which no step of it does.`,
      ),
    ]);
  });
}

function lacking(verbs: readonly Verb[] = [], among: readonly Verb[] = []): Verb[] {
  return verbs.filter((verb) => !among.includes(verb));
}
