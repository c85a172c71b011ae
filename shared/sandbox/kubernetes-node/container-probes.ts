import { readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessGroup } from '../processes.ts';
import { type ContainerRecord, hasStarted } from './container-state.ts';
import { execSpec } from './launch.ts';
import { defaultGraceSeconds, type PodSpec, type Probe } from './objects.ts';
import { type ProbeWorker, performProbe, startProbeWorker } from './probe.ts';
import type { ContainerView, ProbeKind } from './probe-state.ts';

export type ContainerProbes = {
  /** Probes readiness at once, as the kubelet does. */
  containerStarted(): void;
  stop(): void;
};

export type ContainerProbesContext = {
  pod: PodSpec;
  podIP: string;
  processes: ProcessGroup;
  changed(): void;
  onError: (error: unknown) => void;
  /** Aborts when the pod ends. */
  signal: AbortSignal;
};

/** Starts the workers of a container's probes; their verdicts go into the record, or stop the process. */
export function startContainerProbes(record: ContainerRecord, context: ContainerProbesContext): ContainerProbes {
  const { startupProbe, readinessProbe, livenessProbe } = record.container;
  const workers = new Map<ProbeKind, ProbeWorker>();
  const start = (kind: ProbeKind, probe: Probe | undefined, onVerdict: (isSuccess: boolean) => void) => {
    if (probe === undefined) return;
    const worker = startProbeWorker({
      kind,
      probe,
      view: () => viewOf(record, context.signal.aborted),
      perform: () => attempt(probe, record, context),
      onVerdict: (_run, isSuccess) => onVerdict(isSuccess),
    });
    workers.set(kind, worker);
  };
  start('readiness', readinessProbe, (isSuccess) => {
    if (record.isReady === isSuccess) return;
    record.isReady = isSuccess;
    context.changed();
  });
  start('liveness', livenessProbe, (isSuccess) => {
    if (!isSuccess) restart(livenessProbe, record, context);
  });
  start('startup', startupProbe, (isSuccess) => {
    if (!isSuccess) return restart(startupProbe, record, context);
    record.hasStartedUp = true;
    context.changed();
    workers.get('readiness')?.trigger();
  });
  return {
    containerStarted: () => workers.get('readiness')?.trigger(),
    stop() {
      for (const worker of workers.values()) worker.stop();
    },
  };
}

function viewOf(record: ContainerRecord, isPodEnding: boolean): ContainerView {
  return {
    run: record.run === 0 ? undefined : record.run,
    ...(record.startedAtMs === undefined ? {} : { startedAtMs: record.startedAtMs }),
    isStarted: hasStarted(record),
    isPodEnding,
  };
}

function attempt(probe: Probe, record: ContainerRecord, context: ContainerProbesContext): Promise<boolean> {
  return performProbe(probe, {
    podIP: context.podIP,
    container: record.container,
    exec: (command, timeoutMs) => execInside(record, context, { command, timeoutMs }),
  });
}

/** Ends the process; the container's runner starts it again if the pod's policy says so. */
function restart(probe: Probe | undefined, record: ContainerRecord, { pod, onError }: ContainerProbesContext): void {
  const own = probe?.terminationGracePeriodSeconds;
  const seconds = own ?? pod.terminationGracePeriodSeconds ?? defaultGraceSeconds;
  record.process?.stop({ graceMs: seconds * 1000 }).catch(onError);
}

async function execInside(
  { launch, process: running }: ContainerRecord,
  { processes, onError }: ContainerProbesContext,
  { command, timeoutMs }: { command: readonly string[]; timeoutMs: number },
): Promise<number | undefined> {
  if (launch === undefined || running === undefined) return undefined;
  try {
    // Until the container's own root is in place, the command would run on the machine's.
    const isOutside = launch.image.kind === 'root' && (await readlink(`/proc/${running.pid}/root`)) === '/';
    if (isOutside) return undefined;
    const started = await processes.start(execSpec(launch, command, running.pid));
    const exit = await Promise.race([started.exited, delay(timeoutMs).then(() => undefined)]);
    if (exit === undefined) await started.stop({ signal: 'SIGKILL' });
    return exit?.code ?? undefined;
  } catch (error) {
    onError(error);
    return undefined;
  }
}
