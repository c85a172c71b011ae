import type { Probe } from './objects.ts';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';

/** What a probe's worker knows about its container at one moment. */
export type ContainerView = {
  /** Another number for each run of the container; `undefined` before the first. */
  run: number | undefined;
  /** Set while it runs. */
  startedAtMs?: number;
  isStarted: boolean;
  isPodEnding: boolean;
};

/** Equal results in a row for one run of the container. `isOnHold`: its verdict is final until the next run. */
export type ProbeState = { run: number | undefined; last: boolean | undefined; count: number; isOnHold: boolean };

export const freshProbeState: ProbeState = { run: undefined, last: undefined, count: 0, isOnHold: false };

/** Kubernetes' defaults; one second is the shortest of all. */
export function probeDefaults(probe: Probe): Required<Pick<Probe, NumericField>> {
  const atLeast = (value: number | undefined, ifUnset: number) => Math.max(1, Math.floor(value || ifUnset));
  return {
    initialDelaySeconds: probe.initialDelaySeconds ?? 0,
    periodSeconds: atLeast(probe.periodSeconds, 10),
    timeoutSeconds: atLeast(probe.timeoutSeconds, 1),
    successThreshold: atLeast(probe.successThreshold, 1),
    failureThreshold: atLeast(probe.failureThreshold, 3),
  };
}
type NumericField =
  | 'initialDelaySeconds'
  | 'periodSeconds'
  | 'timeoutSeconds'
  | 'successThreshold'
  | 'failureThreshold';

/** Whether a tick probes at all; the order of the reasons is that of the kubelet's `doProbe`. */
export function isProbeDue(
  kind: ProbeKind,
  probe: Probe,
  { view, state, nowMs }: { view: ContainerView; state: ProbeState; nowMs: number },
): boolean {
  if (view.startedAtMs === undefined) return false;
  if (state.isOnHold && state.run === view.run) return false;
  if (view.isPodEnding && kind !== 'readiness') return false;
  const ranSeconds = Math.floor((nowMs - view.startedAtMs) / 1000);
  if (ranSeconds < probeDefaults(probe).initialDelaySeconds) return false;
  return view.isStarted ? kind !== 'startup' : kind === 'startup';
}

/** Counts a result. A verdict comes only when the threshold of equal results is reached. */
export function countResult(
  kind: ProbeKind,
  probe: Probe,
  { state, run, isSuccess }: { state: ProbeState; run: number | undefined; isSuccess: boolean },
): { state: ProbeState; verdict: boolean | undefined } {
  const former = state.run === run ? state : { ...freshProbeState, run };
  const count = former.last === isSuccess ? former.count + 1 : 1;
  const next: ProbeState = { run, last: isSuccess, count, isOnHold: false };
  const { successThreshold, failureThreshold } = probeDefaults(probe);
  if (count < (isSuccess ? successThreshold : failureThreshold)) return { state: next, verdict: undefined };
  const isFinal = kind === 'startup' || (kind === 'liveness' && !isSuccess);
  return { state: isFinal ? { ...next, count: 0, isOnHold: true } : next, verdict: isSuccess };
}
