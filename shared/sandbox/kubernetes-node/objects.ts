import type { KubernetesObject, ObjectMeta, Resource } from '../kubernetes-client.ts';

/** The parts of the Kubernetes objects that the node reads and writes; field names and meanings are the API's. */
export type Condition = {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
  lastProbeTime?: string;
};

export type EnvVar = {
  name: string;
  value?: string;
  valueFrom?: {
    secretKeyRef?: KeyRef;
    configMapKeyRef?: KeyRef;
    fieldRef?: { fieldPath: string };
  };
};
type KeyRef = { name: string; key: string; optional?: boolean };
type EnvFrom = {
  prefix?: string;
  secretRef?: { name: string; optional?: boolean };
  configMapRef?: { name: string; optional?: boolean };
};

export type Probe = {
  httpGet?: {
    path?: string;
    port: number | string;
    host?: string;
    scheme?: string;
    httpHeaders?: { name: string; value: string }[];
  };
  tcpSocket?: { port: number | string; host?: string };
  exec?: { command: string[] };
  initialDelaySeconds?: number;
  periodSeconds?: number;
  timeoutSeconds?: number;
  successThreshold?: number;
  failureThreshold?: number;
  terminationGracePeriodSeconds?: number;
};

export type VolumeMount = { name: string; mountPath: string; subPath?: string; readOnly?: boolean };
export type KeyToPath = { key: string; path: string; mode?: number };
type SecretVolume = { secretName?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean };
type ConfigMapVolume = { name?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean };
type ProjectedSource = {
  secret?: { name: string; items?: KeyToPath[]; optional?: boolean };
  configMap?: { name: string; items?: KeyToPath[]; optional?: boolean };
};
export type Volume = {
  name: string;
  secret?: SecretVolume;
  configMap?: ConfigMapVolume;
  emptyDir?: { medium?: string; sizeLimit?: string };
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean };
  projected?: { sources: ProjectedSource[]; defaultMode?: number };
};

type SecurityContext = { runAsUser?: number; runAsGroup?: number; runAsNonRoot?: boolean };

export type Container = {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  /** Of an init container only: it is a sidecar, which runs beside those that follow it, and ends after them. */
  restartPolicy?: 'Always';
  workingDir?: string;
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError';
  env?: EnvVar[];
  envFrom?: EnvFrom[];
  ports?: { name?: string; containerPort: number }[];
  volumeMounts?: VolumeMount[];
  securityContext?: SecurityContext & { readOnlyRootFilesystem?: boolean };
  startupProbe?: Probe;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
};

/** Kubernetes' default for `terminationGracePeriodSeconds`. */
export const defaultGraceSeconds = 30;

export type PodSpec = {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Volume[];
  restartPolicy?: 'Always' | 'OnFailure' | 'Never';
  terminationGracePeriodSeconds?: number;
  securityContext?: SecurityContext & { fsGroup?: number; fsGroupChangePolicy?: string };
  nodeName?: string;
};

type TerminatedState = {
  exitCode: number;
  reason: string;
  message?: string;
  signal?: number;
  startedAt: string;
  finishedAt: string;
};
export type ContainerState = {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: TerminatedState;
};
export type ContainerStatus = {
  name: string;
  image: string;
  imageID: string;
  containerID?: string;
  ready: boolean;
  started: boolean;
  restartCount: number;
  state: ContainerState;
  lastState: ContainerState;
};

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';
export type PodStatus = {
  phase?: PodPhase;
  reason?: string;
  message?: string;
  podIP?: string;
  podIPs?: { ip: string }[];
  hostIP?: string;
  startTime?: string;
  conditions?: Condition[];
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
  observedGeneration?: number;
};
export type Pod = KubernetesObject & { spec: PodSpec; status?: PodStatus };

export type PodTemplate = { metadata?: Partial<ObjectMeta>; spec: PodSpec };

export type DeploymentStatus = {
  observedGeneration?: number;
  replicas?: number;
  updatedReplicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  unavailableReplicas?: number;
  conditions?: Condition[];
};
export type Deployment = KubernetesObject & {
  spec: {
    replicas?: number;
    selector?: { matchLabels?: Record<string, string> };
    template: PodTemplate;
    strategy?: {
      type?: 'Recreate' | 'RollingUpdate';
      rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string };
    };
    minReadySeconds?: number;
    progressDeadlineSeconds?: number;
    paused?: boolean;
  };
  status?: DeploymentStatus;
};

export type JobStatus = {
  active?: number;
  ready?: number;
  terminating?: number;
  succeeded?: number;
  failed?: number;
  startTime?: string;
  completionTime?: string;
  conditions?: Condition[];
};
export type Job = KubernetesObject & {
  spec: {
    template: PodTemplate;
    parallelism?: number;
    completions?: number;
    backoffLimit?: number;
    activeDeadlineSeconds?: number;
    ttlSecondsAfterFinished?: number;
  };
  status?: JobStatus;
};

export type PersistentVolumeClaim = KubernetesObject & {
  spec: { accessModes?: string[]; resources?: { requests?: { storage?: string } } };
  status?: { phase?: string; accessModes?: string[]; capacity?: { storage?: string } };
};
/** `data` is base64. */
export type Secret = KubernetesObject & { data?: Record<string, string> };
export type ConfigMap = KubernetesObject & { data?: Record<string, string>; binaryData?: Record<string, string> };

export const pods: Resource<Pod> = { groupVersion: 'api/v1', plural: 'pods' };
export const deployments: Resource<Deployment> = { groupVersion: 'apis/apps/v1', plural: 'deployments' };
export const jobs: Resource<Job> = { groupVersion: 'apis/batch/v1', plural: 'jobs' };
export const secrets: Resource<Secret> = { groupVersion: 'api/v1', plural: 'secrets' };
export const configMaps: Resource<ConfigMap> = { groupVersion: 'api/v1', plural: 'configmaps' };
export const persistentVolumeClaims: Resource<PersistentVolumeClaim> = {
  groupVersion: 'api/v1',
  plural: 'persistentvolumeclaims',
};

/** Kubernetes timestamps are whole seconds. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function isPodReady(pod: Pod): boolean {
  return conditionOf(pod.status?.conditions, 'Ready')?.status === 'True';
}

export function isOwnedBy(object: KubernetesObject, owner: KubernetesObject): boolean {
  return (object.metadata.ownerReferences ?? []).some((reference) => reference.uid === owner.metadata.uid);
}
