import * as v from 'valibot';
import { identityOf, type Manifest } from './kustomize.ts';

// What the rules read of a pod, in a Knative Service, a Deployment or a Job. Other fields are looked at elsewhere.
const securityContext = v.object({
  runAsNonRoot: v.optional(v.boolean()),
  runAsUser: v.optional(v.number()),
  allowPrivilegeEscalation: v.optional(v.boolean()),
  readOnlyRootFilesystem: v.optional(v.boolean()),
  capabilities: v.optional(v.object({ drop: v.optional(v.array(v.string())) })),
  seccompProfile: v.optional(v.object({ type: v.string() })),
});
const probe = v.object({
  httpGet: v.optional(v.object({ path: v.string() })),
  periodSeconds: v.optional(v.number()),
});
const container = v.object({
  name: v.string(),
  image: v.string(),
  command: v.optional(v.array(v.string())),
  env: v.optional(
    v.array(
      v.object({
        name: v.string(),
        value: v.optional(v.string()),
        valueFrom: v.optional(v.record(v.string(), v.unknown())),
      }),
    ),
    [],
  ),
  envFrom: v.optional(v.array(v.object({ configMapRef: v.optional(v.object({ name: v.string() })) })), []),
  readinessProbe: v.optional(probe),
  livenessProbe: v.optional(probe),
  lifecycle: v.optional(v.object({ preStop: v.object({ sleep: v.object({ seconds: v.number() }) }) })),
  resources: v.optional(
    v.object({
      requests: v.optional(v.object({ cpu: v.optional(v.string()), memory: v.optional(v.string()) }), {}),
      limits: v.optional(v.object({ memory: v.optional(v.string()) }), {}),
    }),
    {},
  ),
  securityContext: v.optional(securityContext, {}),
  volumeMounts: v.optional(v.array(v.object({ name: v.string(), mountPath: v.string() })), []),
});
const podSchema = v.object({
  serviceAccountName: v.optional(v.string()),
  automountServiceAccountToken: v.optional(v.boolean(), true),
  terminationGracePeriodSeconds: v.optional(v.number(), 30),
  securityContext: v.optional(securityContext, {}),
  containers: v.array(container),
  volumes: v.optional(
    v.array(
      v.object({
        name: v.string(),
        secret: v.optional(v.object({ secretName: v.string() })),
        configMap: v.optional(v.object({ name: v.string() })),
        persistentVolumeClaim: v.optional(v.object({ claimName: v.string() })),
      }),
    ),
    [],
  ),
});
const withTemplate = v.object({ spec: v.object({ template: v.object({ spec: podSchema }) }) });
const withJobTemplate = v.object({ spec: v.object({ jobTemplate: withTemplate }) });

export type Pod = v.InferOutput<typeof podSchema>;
type Container = Pod['containers'][number];

/** Pods that come to an end: they are not asked how they are, and nobody waits for them. */
export const isJob = ({ kind }: Manifest): boolean => kind === 'Job' || kind === 'CronJob';

/** The pod that an object makes, if it makes one. @throws where it has another shape than ours have. */
export function podOf(object: Manifest): Pod | undefined {
  if (object.kind === 'CronJob') return v.parse(withJobTemplate, object).spec.jobTemplate.spec.template.spec;
  const isMaker = ['serving.knative.dev/v1 Service', 'apps/v1 Deployment', 'batch/v1 Job'].includes(
    `${object.apiVersion} ${object.kind}`,
  );
  return isMaker ? v.parse(withTemplate, object).spec.template.spec : undefined;
}

export type PodOptions = {
  /** Variables that some program reads. */
  knownSettings: ReadonlySet<string>;
  /** May the root file system be written to? */
  mayWrite?: boolean;
};

/** What a pod lacks of what all of ours have, a line each. Pure. */
export function podMistakes(object: Manifest, options: PodOptions): string[] {
  const pod = podOf(object);
  if (pod === undefined) return [];
  const mistakes = pod.containers.flatMap((one) => [
    ...securityMistakes(pod, one, options),
    ...resourceMistakes(one),
    ...environmentMistakes(one, options.knownSettings),
    ...mountMistakes(pod, one),
    ...(isJob(object) ? [] : probeMistakes(object, one)),
    ...graceMistakes(pod, one),
  ]);
  return mistakes.map((mistake) => `${identityOf(object)} ${mistake}.`);
}

/** Pod Security's restricted profile, and a file system that cannot be written to. */
function securityMistakes(
  { securityContext: of }: Pod,
  { securityContext: own }: Container,
  options: PodOptions,
): string[] {
  const all = { ...of, ...own };
  return [
    ...(all.runAsNonRoot === true && (all.runAsUser ?? 0) > 0
      ? []
      : ['must run as a user that is not root, by number']),
    ...(all.allowPrivilegeEscalation === false ? [] : ['must not allow more privileges']),
    ...(all.readOnlyRootFilesystem === true || options.mayWrite === true
      ? []
      : ['must have a root file system that is read only']),
    ...(all.capabilities?.drop?.includes('ALL') === true ? [] : ['must drop all capabilities']),
    ...(all.seccompProfile?.type === 'RuntimeDefault' ? [] : ['must have the seccomp profile RuntimeDefault']),
  ];
}

/** No limit of the processor: it would only slow starts down. */
function resourceMistakes({ resources: { requests, limits } }: Container): string[] {
  return [
    ...(requests.cpu === undefined || requests.memory === undefined ? ['must request cpu and memory'] : []),
    ...(limits.memory === undefined ? ['must limit its memory'] : []),
  ];
}

const secretName = /(PASSWORDS?|SECRET|TOKEN|KEY)$/;
/** Set by a manifest and read by one program only. */
const ownSettings = new Set(['FUNCTION_TARGET', 'LISTEN_ADDRESS']);

function environmentMistakes(one: Container, knownSettings: ReadonlySet<string>): string[] {
  return one.env.flatMap(({ name, value, valueFrom }) => [
    ...(knownSettings.has(name) || ownSettings.has(name) ? [] : [`sets ${name}, which nobody reads`]),
    ...(secretName.test(name) ? [`has a secret in its environment, ${name}: mount it and name its file`] : []),
    ...(valueFrom === undefined || 'fieldRef' in valueFrom
      ? []
      : [`takes ${name} from a Secret or ConfigMap: mount it`]),
    ...(value?.startsWith('/') && !isMounted(one, value) ? [`sets ${name} to ${value}, which it does not mount`] : []),
  ]);
}

function isMounted({ volumeMounts }: Container, path: string): boolean {
  return volumeMounts.some(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`));
}

function mountMistakes({ volumes }: Pod, { volumeMounts }: Container): string[] {
  const mounted = volumeMounts.map(({ name }) => name);
  const given = volumes.map(({ name }) => name);
  return [
    ...mounted.filter((name) => !given.includes(name)).map((name) => `mounts ${name} and has no such volume`),
    // Serving refuses such a volume.
    ...given.filter((name) => !mounted.includes(name)).map((name) => `has the volume ${name} and does not mount it`),
  ];
}

function probeMistakes(object: Manifest, { readinessProbe, livenessProbe }: Container): string[] {
  const isFunction = object.apiVersion === 'serving.knative.dev/v1';
  return [
    ...(readinessProbe === undefined ? ['has no readiness probe'] : []),
    ...(livenessProbe === undefined ? ['has no liveness probe'] : []),
    ...(isFunction && readinessProbe?.httpGet?.path !== '/readyz' ? ['must be asked for /readyz'] : []),
    ...(isFunction && livenessProbe?.httpGet?.path !== '/healthz' ? ['must be asked for /healthz'] : []),
    // Without a period queue-proxy asks every few milliseconds, with one every so many seconds.
    ...(isFunction && readinessProbe?.periodSeconds !== undefined
      ? ['must have no period of readiness: it starts slowly']
      : []),
  ];
}

function graceMistakes({ terminationGracePeriodSeconds: grace }: Pod, { lifecycle }: Container): string[] {
  const wait = lifecycle?.preStop.sleep.seconds ?? 0;
  return wait < grace ? [] : [`waits ${wait} s before it ends, not less than its grace period of ${grace} s`];
}
