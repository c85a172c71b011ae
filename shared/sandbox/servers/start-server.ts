import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessGroup, ProcessSpec, RunningProcess } from '../processes.ts';
import { freePort, keepPort } from './free-port.ts';

/** A server process on a port of its own. */
export type ServerProcess = {
  port: number;
  /** Ends the server; its data stays. */
  stop(): Promise<void>;
  /** Ends and starts it on the same port. `signal` SIGKILL is a crash. */
  restart(options?: { signal?: NodeJS.Signals }): Promise<void>;
};

// one that crashed goes through its log first, and through its whole data folder where it is to be durable
const READY_WITHIN_MS = 90_000;
const PORT_ATTEMPTS = 5;
// The kill that follows reaches only the leader: PostgreSQL's own processes are no members of its group.
const STOP_WITHIN_MS = 45_000;

/**
 * Starts a server and resolves when `isReady` does not throw. Another free port is taken when somebody took the first one
 * in between.
 * @throws Error with the last lines of the log when the server ends or is not ready in 90 s.
 */
export async function startServer(options: {
  processes: ProcessGroup;
  /** Called before each start: writes what the server reads and says how it is run. */
  specFor(port: number): Promise<ProcessSpec>;
  isReady(port: number): Promise<void>;
  /** Tried first; another one when somebody has it. */
  port?: number;
}): Promise<ServerProcess> {
  const { processes, specFor, isReady } = options;

  async function startOn(port: number): Promise<RunningProcess> {
    const spec = await specFor(port);
    const logStart = await stat(spec.logFile).then(
      (found) => found.size,
      () => 0,
    );
    const server = await processes.start(spec);
    await waitUntilReady({ server, port, isReady, logFile: spec.logFile, logStart });
    return server;
  }

  // A port that was asked for may be one that the system gives to clients: while the server was away one of its own may
  // have got it, for as long as that connection lasts.
  async function startAgainOn(port: number): Promise<RunningProcess> {
    const deadline = Date.now() + READY_WITHIN_MS;
    for (;;) {
      try {
        return await startOn(port);
      } catch (error) {
        if (Date.now() > deadline || !(isPortTaken(error) || isStillEnding(error))) throw error;
        await delay(200);
      }
    }
  }

  if (options.port !== undefined) await keepPort(options.port);
  let port = options.port ?? (await freePort());
  let server: RunningProcess | undefined;
  for (let attempt = 1; server === undefined; attempt++) {
    try {
      server = await startOn(port);
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !isPortTaken(error)) throw error;
      port = await freePort();
    }
  }
  let current = server;
  return {
    port,
    stop: () => current.stop({ graceMs: STOP_WITHIN_MS }),
    async restart({ signal } = {}) {
      await current.stop({ graceMs: STOP_WITHIN_MS, ...(signal === undefined ? {} : { signal }) });
      current = await startAgainOn(port);
    },
  };
}

function isPortTaken(error: unknown): boolean {
  return /address already in use/i.test(String(error));
}

/** Processes of a PostgreSQL server that was killed end when they notice. */
function isStillEnding(error: unknown): boolean {
  return /pre-existing shared memory block .* is still in use/.test(String(error));
}

async function waitUntilReady(options: {
  server: RunningProcess;
  port: number;
  isReady(port: number): Promise<void>;
  logFile: string;
  logStart: number;
}): Promise<void> {
  const { server, port, isReady, logFile, logStart } = options;
  let hasEnded = false;
  void server.exited.then(() => {
    hasEnded = true;
  });
  const deadline = Date.now() + READY_WITHIN_MS;
  for (;;) {
    const problem = await isReady(port).then(
      () => undefined,
      (error: Error) => error,
    );
    // whoever answered on this port, it was not a server that has ended
    if (problem === undefined && !hasEnded) return;
    if (hasEnded || Date.now() > deadline) {
      const what = hasEnded ? 'ended while it started' : `was not ready in ${READY_WITHIN_MS / 1000} s`;
      await server.stop({ signal: 'SIGKILL' });
      const log = (await readFile(logFile)).subarray(logStart).toString().trim().split('\n').slice(-8).join('\n');
      throw new Error(`${server.name} ${what}; its log says:\n${log}`, { cause: problem });
    }
    await delay(15);
  }
}
