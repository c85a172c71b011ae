import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Image } from '../image.ts';
import type { ProcessGroup } from '../processes.ts';
import type { Claims } from './claims.ts';
import { type ContainerProbes, startContainerProbes } from './container-probes.ts';
import { runContainer } from './container-runner.ts';
import { type ContainerRecord, hasStarted, isSidecar, newContainerRecord } from './container-state.ts';
import { ConfigurationMissing, containerEnvironment, type Sources } from './environment.ts';
import { type LaunchInput, mountsOf, rewriteMountPaths } from './launch.ts';
import { defaultGraceSeconds, type Pod } from './objects.ts';
import type { PodRecord } from './pod-status.ts';
import { containerUser } from './security.ts';
import { setUpVolumes } from './volumes.ts';

/** Runs one pod. */
export type PodWorker = {
  uid: string;
  record: PodRecord;
  /** The pod has come to rest by itself, or was stopped; nothing of it runs any more. */
  rested: Promise<void>;
  /** Ends all processes: SIGTERM, after the grace SIGKILL. Given again, a shorter grace counts. */
  stop(graceMs: number): Promise<void>;
};

export type PodWorkerDeps = {
  folder: string;
  podIP: string;
  isRoot: boolean;
  processes: ProcessGroup;
  claims: Claims;
  sources: Sources;
  findImage(image: string): Promise<Image | undefined>;
  /** Something in the record has changed. */
  changed(): void;
  onError: (error: unknown) => void;
};

const volumeRetryMs = { first: 250, last: 5_000 };

export function startPodWorker(pod: Pod, deps: PodWorkerDeps): PodWorker {
  const abort = new AbortController();
  const record: PodRecord = {
    podIP: deps.podIP,
    startedAtMs: Date.now(),
    init: (pod.spec.initContainers ?? []).map((container) => newContainerRecord(container, true)),
    main: pod.spec.containers.map((container) => newContainerRecord(container, false)),
    hasEnded: false,
  };
  const work: PodWork = {
    pod,
    deps,
    record,
    signal: abort.signal,
    podFolder: join(deps.folder, 'pods', pod.metadata.uid ?? ''),
    releases: [],
  };
  // One moment later, so that whoever starts the worker knows it before its first change.
  const rested = Promise.resolve()
    .then(() => runPod(work))
    .catch((error: unknown) => {
      if (!abort.signal.aborted) deps.onError(error);
    })
    .then(() => cleanUp(work));
  return {
    uid: pod.metadata.uid ?? '',
    record,
    rested,
    async stop(graceMs) {
      abort.abort();
      await Promise.all([...record.init, ...record.main].map(async (one) => one.process?.stop({ graceMs })));
      await rested;
    },
  };
}

type PodWork = {
  pod: Pod;
  deps: PodWorkerDeps;
  record: PodRecord;
  signal: AbortSignal;
  podFolder: string;
  releases: (() => Promise<void>)[];
};

async function runPod(work: PodWork): Promise<void> {
  const { pod, record, deps, signal } = work;
  deps.changed();
  const volumes = await waitForVolumes(work);
  const probes = new Map<ContainerRecord, ContainerProbes>();
  const sidecars = openSidecars(work);
  const start = (one: ContainerRecord) =>
    runContainer(one, {
      pod: pod.spec,
      processes: deps.processes,
      findImage: deps.findImage,
      launchInput: (record, image) => launchInput(work, { record, image, volumes }),
      changed() {
        deps.changed();
        if (hasStarted(one)) probes.get(one)?.containerStarted();
        sidecars.changed(one);
      },
      signal: isSidecar(one) ? sidecars.signal : signal,
      folder: deps.folder,
    });
  try {
    for (const one of record.init) {
      if (isSidecar(one)) {
        await sidecars.start(one, () => start(one));
        continue;
      }
      await start(one);
      if (one.state.terminated?.exitCode !== 0) return;
    }
    for (const one of record.main) one.state = { waiting: { reason: 'ContainerCreating' } };
    for (const one of record.main) probes.set(one, startContainerProbes(one, { ...deps, pod: pod.spec, signal }));
    await Promise.all(record.main.map(start));
  } finally {
    for (const probe of probes.values()) probe.stop();
    await sidecars.stop();
  }
}

/** Sidecars of one pod. They run until the others have ended, are begun again when they end, and have no probes here. */
function openSidecars({ pod, signal }: Pick<PodWork, 'pod' | 'signal'>) {
  const over = new AbortController();
  const running = new Map<ContainerRecord, { run: Promise<void>; begun: PromiseWithResolvers<void> }>();
  return {
    signal: AbortSignal.any([signal, over.signal]),
    /** Comes back when it runs: only then the next container may begin. */
    async start(one: ContainerRecord, run: () => Promise<void>): Promise<void> {
      const begun = Promise.withResolvers<void>();
      const entry = { run: Promise.resolve(), begun };
      running.set(one, entry);
      entry.run = run();
      // a run that ends before it has begun was aborted, or is an error of ours
      await Promise.race([begun.promise, entry.run]);
    },
    changed(one: ContainerRecord): void {
      if (hasStarted(one)) running.get(one)?.begun.resolve();
    },
    /** In the opposite order, as the kubelet does. */
    async stop(): Promise<void> {
      over.abort();
      const graceMs = (pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1_000;
      for (const [one, { run }] of [...running].toReversed()) {
        await one.process?.stop({ graceMs });
        await run;
      }
    },
  };
}

/**
 * The kubelet leaves its containers in `ContainerCreating` meanwhile and tells the reason in an Event. There are no
 * Events here, so the reason is the message.
 */
async function waitForVolumes(work: PodWork): Promise<Map<string, string>> {
  await makePodFolder(work);
  for (let waitMs = volumeRetryMs.first; ; waitMs = Math.min(waitMs * 2, volumeRetryMs.last)) {
    try {
      return await setUpPodVolumes(work);
    } catch (error) {
      await release(work);
      if (work.signal.aborted) throw error;
      const message = `FailedMount: ${error instanceof Error ? error.message : String(error)}`;
      for (const one of [...work.record.init, ...work.record.main]) {
        one.state = { waiting: { reason: one.state.waiting?.reason ?? 'ContainerCreating', message } };
      }
      work.deps.changed();
      await delay(waitMs, undefined, { signal: work.signal });
    }
  }
}

async function makePodFolder({ pod, deps, podFolder }: PodWork): Promise<void> {
  await mkdir(join(podFolder, 'scratch'), { recursive: true });
  if (!deps.isRoot) return chmod(podFolder, 0o700);
  // Secrets lie inside: only the pod's own user may enter.
  const { runAsUser = 0, runAsGroup = 0, fsGroup = runAsGroup } = pod.spec.securityContext ?? {};
  const uid = pod.spec.containers[0]?.securityContext?.runAsUser ?? runAsUser;
  await chown(podFolder, uid, fsGroup);
  await chmod(podFolder, 0o750);
}

async function setUpPodVolumes(work: PodWork): Promise<Map<string, string>> {
  const { pod, deps, podFolder } = work;
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  const images = await Promise.all(containers.map(({ image }) => deps.findImage(image)));
  const mounts = containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
  const isOnHost = images.some((image) => image?.kind === 'host');
  return setUpVolumes(pod, {
    podFolder,
    isRoot: deps.isRoot,
    sources: deps.sources,
    claimFolder: async (claimName) => {
      const use = deps.claims.use(claimName);
      if (use !== undefined) work.releases.push(use.release);
      return use?.folder;
    },
    ...(isOnHost ? { rewrite: (text, folders) => rewriteMountPaths(text, mountsOf(mounts, folders)) } : {}),
  });
}

async function launchInput(
  { pod, deps, podFolder }: PodWork,
  { record, image, volumes }: { record: ContainerRecord; image: Image; volumes: Map<string, string> },
): Promise<LaunchInput> {
  const { container } = record;
  const decision = containerUser(pod.spec, container, image);
  if ('refusal' in decision) throw new ConfigurationMissing(decision.refusal);
  if (image.kind === 'root' && !deps.isRoot) {
    throw new ConfigurationMissing(
      `image "${container.image}" has a root file system of its own: run the node as root`,
    );
  }
  const { name } = pod.metadata;
  return {
    name: `${name}/${container.name}`,
    container,
    image,
    environment: await containerEnvironment(container, { pod, podIP: deps.podIP }, deps.sources),
    volumes,
    hostName: name,
    user: decision.user,
    fsGroup: pod.spec.securityContext?.fsGroup,
    logFile: join(deps.folder, 'logs', name, `${container.name}.log`),
    scratchFolder: join(podFolder, 'scratch'),
    isRoot: deps.isRoot,
  };
}

async function release(work: PodWork): Promise<void> {
  const releases = work.releases.splice(0);
  await Promise.all(releases.map((run) => run()));
}

async function cleanUp(work: PodWork): Promise<void> {
  await release(work);
  await rm(work.podFolder, { recursive: true, force: true }).catch(work.deps.onError);
  work.deps.changed();
}
