import type { Log } from './log.ts';

/**
 * The order in which a process ends. Within a phase everything runs at once; a phase begins when the one before is done.
 * Pools end last: what is in flight needs them.
 */
export const shutdownPhases = ['stop-accepting', 'finish-requests', 'flush', 'close-connections'] as const;
export type ShutdownPhase = (typeof shutdownPhases)[number];

export type Shutdown = {
  readonly isBegun: boolean;
  /** Adds work to a phase. Its errors are logged and stop nothing. */
  during(phase: ShutdownPhase, name: string, work: () => Promise<void> | void): void;
  /** Ends the process with this code; a second call waits for the first. */
  begin(reason: string, exitCode?: number): Promise<void>;
};

export type ShutdownOptions = {
  log: Log;
  /** For all phases together; then the process ends whatever is still running. */
  timeoutMs: number;
  exit?: (code: number) => void;
};

/** Makes the shutdown of a process. `handleSignals` connects it to the outside. */
export function makeShutdown(options: ShutdownOptions): Shutdown {
  const { log, timeoutMs } = options;
  const exit = options.exit ?? ((code) => process.exit(code));
  const tasks: { phase: ShutdownPhase; name: string; work: () => Promise<void> | void }[] = [];
  let ending: Promise<void> | undefined;

  async function end(reason: string, exitCode: number): Promise<void> {
    log.info({ reason }, 'ending');
    const isDone = await within(timeoutMs, runPhases());
    if (!isDone) log.warn({ timeoutMs }, 'not everything ended in time');
    exit(isDone ? exitCode : Math.max(exitCode, 1));
  }

  async function runPhases(): Promise<void> {
    for (const phase of shutdownPhases) {
      const due = tasks.filter((task) => task.phase === phase);
      await Promise.all(due.map((task) => runTask(task)));
    }
  }

  async function runTask(task: { name: string; work: () => Promise<void> | void }): Promise<void> {
    try {
      await task.work();
    } catch (error) {
      log.error({ err: error, task: task.name }, 'could not be ended properly');
    }
  }

  return {
    get isBegun() {
      return ending !== undefined;
    },
    during: (phase, name, work) => void tasks.push({ phase, name, work }),
    begin(reason, exitCode = 0) {
      ending ??= end(reason, exitCode);
      return ending;
    },
  };
}

/**
 * SIGTERM and SIGINT end the process in order; a second one at once. An error that nobody caught is a bug whose state
 * is unknown: it is logged, what is in flight is finished, and the process ends with code 1.
 */
export function handleSignals(shutdown: Shutdown, options: { log: Log; exit?: (code: number) => void }): void {
  const { log } = options;
  const exit = options.exit ?? ((code) => process.exit(code));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (shutdown.isBegun) exit(1);
      else void shutdown.begin(signal);
    });
  }
  for (const kind of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(kind, (error: unknown) => {
      log.fatal({ err: error, kind }, 'an error that nobody caught');
      void shutdown.begin(kind, 1);
    });
  }
}

async function within(timeoutMs: number, work: Promise<void>): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  const isDone = await Promise.race([work.then(() => true), timeout]);
  clearTimeout(timer);
  return isDone;
}
