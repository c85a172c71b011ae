import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, Probe } from './objects.ts';
import {
  type ContainerView,
  countResult,
  freshProbeState,
  isProbeDue,
  type ProbeKind,
  probeDefaults,
} from './probe-state.ts';

export type ProbeTarget = {
  podIP: string;
  container: Container;
  /** Runs a command inside the container; resolves with its exit code, or `undefined` after the timeout. */
  exec(command: readonly string[], timeoutMs: number): Promise<number | undefined>;
};

/** One attempt, true if the container passes. Never throws: whatever goes wrong is a failed probe. */
export async function performProbe(probe: Probe, target: ProbeTarget): Promise<boolean> {
  const timeoutMs = probeDefaults(probe).timeoutSeconds * 1000;
  if (probe.httpGet !== undefined) return probeHttp(probe.httpGet, target, timeoutMs);
  if (probe.tcpSocket !== undefined) return probeTcp(probe.tcpSocket, target, timeoutMs);
  if (probe.exec !== undefined) return (await target.exec(probe.exec.command, timeoutMs)) === 0;
  return false;
}

/** A port by number, or by its name in the container's list. */
export function probePort(port: number | string, container: Container): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  return named ?? Number(port);
}

/** 200 to 399 passes. Unlike the kubelet, redirects are not followed: an answer of 302 passes as it is. */
function probeHttp(get: NonNullable<Probe['httpGet']>, target: ProbeTarget, timeoutMs: number): Promise<boolean> {
  const isTls = get.scheme?.toUpperCase() === 'HTTPS';
  const options = {
    host: get.host ?? target.podIP,
    port: probePort(get.port, target.container),
    path: get.path?.startsWith('/') ? get.path : `/${get.path ?? ''}`,
    headers: {
      'user-agent': 'kube-probe/1.34',
      accept: '*/*',
      ...Object.fromEntries((get.httpHeaders ?? []).map(({ name, value }) => [name.toLowerCase(), value])),
    },
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  } as const;
  return new Promise((resolve) => {
    const request = isTls ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options);
    request.on('response', (response) => {
      response.resume();
      resolve((response.statusCode ?? 0) >= 200 && (response.statusCode ?? 0) < 400);
      response.on('error', () => undefined); // the status has decided already
    });
    request.on('error', () => resolve(false));
    request.end();
  });
}

function probeTcp(tcp: NonNullable<Probe['tcpSocket']>, target: ProbeTarget, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: tcp.host ?? target.podIP, port: probePort(tcp.port, target.container) });
    const end = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

export type ProbeWorker = {
  /** Probes now instead of at the next tick: the kubelet does so for readiness once the container has started. */
  trigger(): void;
  stop(): void;
};

export type ProbeWorkerOptions = {
  kind: ProbeKind;
  probe: Probe;
  view(): ContainerView;
  perform(): Promise<boolean>;
  onVerdict(run: number | undefined, isSuccess: boolean): void;
};

/**
 * Ticks each period from the pod's admission on, not from the container's start, as the kubelet's worker does; so the
 * first probe of a container comes up to one period after its start. The kubelet adds a random delay of up to a period
 * only for pods it finds at its own start; ours are always admitted later, so there is none here. A tick that comes
 * during a probe is kept, one at most.
 */
export function startProbeWorker({ kind, probe, view, perform, onVerdict }: ProbeWorkerOptions): ProbeWorker {
  let state = freshProbeState;
  let isStopped = false;
  let isBusy = false;
  let isPending = false;

  async function tick(): Promise<void> {
    if (isBusy) {
      isPending = true;
      return;
    }
    isBusy = true;
    do {
      isPending = false;
      await probeOnce();
    } while (isPending && !isStopped);
    isBusy = false;
  }

  async function probeOnce(): Promise<void> {
    const before = view();
    if (!isProbeDue(kind, probe, { view: before, state, nowMs: Date.now() })) return;
    const isSuccess = await perform();
    if (isStopped || view().run !== before.run) return;
    const counted = countResult(kind, probe, { state, run: before.run, isSuccess });
    state = counted.state;
    if (counted.verdict !== undefined) onVerdict(before.run, counted.verdict);
  }

  const timer = setInterval(() => void tick(), probeDefaults(probe).periodSeconds * 1000);
  void tick();
  return {
    trigger: () => void tick(),
    stop() {
      isStopped = true;
      clearInterval(timer);
    },
  };
}
