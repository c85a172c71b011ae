import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import type { ProcessGroup, RunningProcess } from '../processes.ts';
import { freePort } from '../servers/free-port.ts';
import { listensOn } from './listens-on.ts';

/** How a function's program is started. */
export type FunctionProgram = { command: string; args: readonly string[]; env: Record<string, string> };

/** One process of a function: what a Pod of a Knative Service is. */
export type Instance = {
  port: number;
  process: RunningProcess;
  logFile: string;
  inFlight: number;
  isReady: boolean;
  /** It gets no new requests; SIGTERM is sent or about to be. */
  isStopping: boolean;
  /** When it got its latest request, by the monotonic clock. */
  lastTaken: number;
  idleTimer: NodeJS.Timeout | undefined;
};

/** What happens to the processes of functions. */
export type HostEvent =
  /** `startMs`: from the decision to start to the first ready answer. */
  | { kind: 'started'; function: string; pid: number; startMs: number }
  | { kind: 'start-failed'; function: string; reason: string }
  | { kind: 'stopped'; function: string; pid: number; reason: 'idle' | 'asked' }
  /** It ended by itself or was killed. */
  | { kind: 'exited'; function: string; pid: number; code: number | null; signal: NodeJS.Signals | null };

// As often as Serving's queue-proxy asks a starting container.
const PROBE_EVERY_MS = 25;
const PROBE_TIMEOUT_MS = 1000;

/**
 * Starts a process with PORT and the variables Knative sets. Its output goes to `<folder>/<name>-<number>.log`.
 * It is not ready yet: see `becomeReady`.
 */
export async function startInstance(
  name: string,
  program: FunctionProgram,
  options: { number: number; folder: string; processes: ProcessGroup },
): Promise<Instance> {
  const port = await freePort();
  const revision = `${name}-00001`;
  const logFile = join(options.folder, `${name}-${options.number}.log`);
  const process = await options.processes.start({
    name: `function ${name}`,
    command: program.command,
    args: program.args,
    env: { ...program.env, PORT: String(port), K_SERVICE: name, K_CONFIGURATION: name, K_REVISION: revision },
    logFile,
  });
  return { port, process, logFile, inFlight: 0, isReady: false, isStopping: false, lastTaken: 0, idleTimer: undefined };
}

/**
 * Resolves when the process itself answers GET /readyz with 200.
 * @throws Error when `withinMs` have passed, or, with the last lines of its log, when the process ends first.
 */
export async function becomeReady(
  instance: Instance,
  options: { dispatcher: Dispatcher; withinMs: number },
): Promise<void> {
  const deadline = Date.now() + options.withinMs;
  let ended: string | undefined;
  void instance.process.exited.then(({ code, signal }) => {
    ended = `ended with ${signal ?? `code ${code}`} before it was ready`;
  });
  while (Date.now() < deadline) {
    if (ended !== undefined) {
      const log = await readFile(instance.logFile, 'utf8');
      throw new Error(
        `${instance.process.name} ${ended}; its log says:\n${log.trim().split('\n').slice(-4).join('\n')}`,
      );
    }
    if (await isReady(instance, options.dispatcher)) {
      instance.isReady = true;
      return;
    }
    await sleep(PROBE_EVERY_MS);
  }
  throw new Error(`${instance.process.name} did not answer GET /readyz with 200 within ${options.withinMs} ms`);
}

async function isReady(instance: Instance, dispatcher: Dispatcher): Promise<boolean> {
  try {
    const { statusCode, body } = await request(`http://127.0.0.1:${instance.port}/readyz`, {
      dispatcher,
      headers: { 'user-agent': 'kube-probe/1.34' },
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    await body.dump();
    // Whoever else has got the port would be sent this function's events; the process is about to end then.
    return statusCode === 200 && (await listensOn(instance.process.pid, instance.port));
  } catch {
    // not listening yet, or too busy to answer: asked again until the deadline
    return false;
  }
}
