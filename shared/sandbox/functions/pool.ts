import type { Dispatcher } from 'undici';
import type { ProcessGroup } from '../processes.ts';
import { becomeReady, type FunctionProgram, type HostEvent, type Instance, startInstance } from './instance.ts';

export type PoolOptions = {
  program: FunctionProgram;
  /** Requests at a time in one process; more wait or start another process. */
  containerConcurrency: number;
  maxScale: number;
  /** Stopped after this long without a request; undefined: never, and a process that ends is replaced at once. */
  idleMs: number | undefined;
  /** How long a request waits for a place, and a process may take to become ready. */
  waitMs: number;
  folder: string;
  processes: ProcessGroup;
  dispatcher: Dispatcher;
  log: (event: HostEvent) => void;
};

/** The processes of one function, with Knative's activator and autoscaler in small. */
export type Pool = {
  /** A place in a process that is ready; call `release` when done. @throws Error when there is none in time. */
  acquire(): Promise<{ instance: Instance; release: () => void }>;
  /** Starts processes until there are `count`, and waits until they are ready. */
  scaleTo(count: number): Promise<void>;
  instances(): readonly Instance[];
  /** Asks all processes to end, which finish what is in flight, and waits for that. Later requests start new ones. */
  stop(graceMs: number): Promise<void>;
  /** Stops for good: who waits is refused, nothing is started any more. */
  close(graceMs: number): Promise<void>;
};

type Waiter = { resolve: (instance: Instance) => void; reject: (error: Error) => void };
type State = PoolOptions & {
  name: string;
  instances: Instance[];
  /** Processes that are not ready yet, those included that have no Instance yet. */
  starts: Set<Promise<void>>;
  waiters: Set<Waiter>;
  nextNumber: number;
  isClosed: boolean;
};

export function openPool(name: string, options: PoolOptions): Pool {
  const state: State = {
    ...options,
    name,
    instances: [],
    starts: new Set(),
    waiters: new Set(),
    nextNumber: 1,
    isClosed: false,
  };
  const stop = async (graceMs: number): Promise<void> => {
    await Promise.all(state.instances.map((instance) => stopInstance(state, instance, { graceMs, reason: 'asked' })));
  };
  return {
    async acquire() {
      const instance = take(state) ?? (await waitForPlace(state));
      let isReleased = false;
      const release = (): void => {
        if (!isReleased) giveBack(state, instance);
        isReleased = true;
      };
      return { instance, release };
    },
    async scaleTo(count) {
      const missing = count - state.starts.size - state.instances.filter(isUsable).length;
      await Promise.all(Array.from({ length: Math.max(0, missing) }, () => start(state)));
    },
    instances: () => state.instances,
    stop,
    async close(graceMs) {
      state.isClosed = true;
      for (const waiter of state.waiters) waiter.reject(new Error('the sandbox is stopping'));
      await stop(graceMs);
      await Promise.allSettled(state.starts);
    },
  };
}

const isUsable = (instance: Instance): boolean => instance.isReady && !instance.isStopping;

/** Takes a place in the least busy process, of equally busy ones in that which waited longest. */
function take(state: State): Instance | undefined {
  const [chosen] = state.instances
    .filter((instance) => isUsable(instance) && instance.inFlight < state.containerConcurrency)
    .sort((a, b) => a.inFlight - b.inFlight || a.lastTaken - b.lastTaken);
  if (chosen === undefined) return undefined;
  chosen.inFlight += 1;
  chosen.lastTaken = performance.now();
  clearTimeout(chosen.idleTimer);
  return chosen;
}

function giveBack(state: State, instance: Instance): void {
  instance.inFlight -= 1;
  serveWaiters(state);
  if (instance.inFlight === 0) watchIdle(state, instance);
}

function watchIdle(state: State, instance: Instance): void {
  clearTimeout(instance.idleTimer);
  if (state.idleMs === undefined || !isUsable(instance)) return;
  instance.idleTimer = setTimeout(() => {
    void stopInstance(state, instance, { graceMs: state.waitMs, reason: 'idle' });
  }, state.idleMs);
}

function waitForPlace(state: State): Promise<Instance> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => waiter.reject(new Error(`${state.name} had no place for the request within ${state.waitMs} ms`)),
      state.waitMs,
    );
    const leave = (): void => {
      clearTimeout(timer);
      state.waiters.delete(waiter);
    };
    const waiter: Waiter = {
      resolve: (instance) => {
        leave();
        resolve(instance);
      },
      reject: (error) => {
        leave();
        reject(error);
      },
    };
    state.waiters.add(waiter);
    startForWaiters(state);
  });
}

/** Starts processes while those that are starting cannot take everybody who waits. */
function startForWaiters(state: State): void {
  const usable = state.instances.filter(isUsable).length;
  const isShort = (): boolean => state.waiters.size > state.starts.size * state.containerConcurrency;
  while (isShort() && state.starts.size + usable < state.maxScale) {
    // whoever waits hears of a failed start, and the log has it
    start(state).catch(() => undefined);
  }
}

function serveWaiters(state: State): void {
  for (const waiter of state.waiters) {
    const instance = take(state);
    if (instance === undefined) return;
    waiter.resolve(instance);
  }
}

function start(state: State): Promise<void> {
  const started = startOne(state).finally(() => state.starts.delete(started));
  state.starts.add(started);
  return started.catch((cause: unknown) => {
    // nobody is left who could serve them: an answer now is better than one at the end of their patience
    const hasOthers = state.starts.size > 0 || state.instances.some(isUsable);
    const failure = cause instanceof Error ? cause : new Error(String(cause));
    if (!hasOthers) for (const waiter of state.waiters) waiter.reject(failure);
    throw failure;
  });
}

async function startOne(state: State): Promise<void> {
  if (state.isClosed) throw new Error('the sandbox is stopping');
  const startedAt = performance.now();
  const instance = await startInstance(state.name, state.program, { ...state, number: state.nextNumber++ });
  state.instances.push(instance);
  watchExit(state, instance);
  try {
    if (state.isClosed) throw new Error('the sandbox is stopping');
    await becomeReady(instance, { dispatcher: state.dispatcher, withinMs: state.waitMs });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (!instance.isStopping) state.log({ kind: 'start-failed', function: state.name, reason });
    await instance.process.stop({ signal: 'SIGKILL' });
    throw cause;
  }
  const startMs = Math.round(performance.now() - startedAt);
  state.log({ kind: 'started', function: state.name, pid: instance.process.pid, startMs });
  serveWaiters(state);
  if (instance.inFlight === 0) watchIdle(state, instance);
}

function watchExit(state: State, instance: Instance): void {
  void instance.process.exited.then(({ code, signal }) => {
    const wasUsable = isUsable(instance);
    clearTimeout(instance.idleTimer);
    state.instances.splice(state.instances.indexOf(instance), 1);
    if (!wasUsable) return;
    instance.isReady = false;
    state.log({ kind: 'exited', function: state.name, pid: instance.process.pid, code, signal });
    if (state.isClosed) return;
    startForWaiters(state);
    if (state.idleMs === undefined) start(state).catch(() => undefined);
  });
}

async function stopInstance(
  state: State,
  instance: Instance,
  { graceMs, reason }: { graceMs: number; reason: 'idle' | 'asked' },
): Promise<void> {
  const isFirst = !instance.isStopping;
  instance.isStopping = true;
  clearTimeout(instance.idleTimer);
  if (!state.isClosed) startForWaiters(state);
  await instance.process.stop({ signal: 'SIGTERM', graceMs });
  if (isFirst) state.log({ kind: 'stopped', function: state.name, pid: instance.process.pid, reason });
}
