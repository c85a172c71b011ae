import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import type { ProcessGroup } from '../processes.ts';
import { forward } from './forward.ts';
import type { FunctionProgram, HostEvent, Instance } from './instance.ts';
import { openPool, type Pool } from './pool.ts';

export type FunctionHostsOptions = {
  /** By the name of the Knative Service. */
  functions: Record<
    string,
    FunctionProgram & {
      /** 10 unless stated. */
      containerConcurrency?: number;
      /** Processes at most; 1 unless stated. */
      maxScale?: number;
      /** A request's time; 120 s unless stated. */
      timeoutMs?: number;
    }
  >;
  /** Gets the log files `<function>-<n>.log`. */
  folder: string;
  processes: ProcessGroup;
  /** Where requests come in; a free port unless stated. */
  port?: number;
  /** A process without requests is stopped after this time. */
  idleMs: number;
  /** Starts every function with `maxScale` processes at once, and keeps them. */
  warm: boolean;
  /** How long a request waits for a process, and a process may take to start; 30 s unless stated. */
  waitMs?: number;
  log?: (event: HostEvent) => void;
};

export type RunningFunction = { name: string; pid: number; port: number; inFlight: number; isReady: boolean };

export type FunctionHosts = {
  /** `http://127.0.0.1:PORT/<name>`; what follows in the path reaches the function. @throws Error for an unknown name. */
  url(name: string): string;
  running(): RunningFunction[];
  /** SIGTERM, then up to `graceMs` (30 s) for what is in flight. The next request starts the function anew. */
  stop(name: string, options?: { graceMs?: number }): Promise<void>;
  /** Sends a signal to all processes of a function, and returns the ids of those that got it. */
  kill(name: string, signal: NodeJS.Signals): number[];
  /** Ends the listener and all processes. */
  stopAll(options?: { graceMs?: number }): Promise<void>;
};

/**
 * Runs functions as Knative Serving does: a process started by the first request and stopped when idle. A request that
 * finds no place within `waitMs` gets 503, one whose process dies 502, one that takes too long 504: all are retried by a broker.
 * With `warm` it resolves when all are ready.
 */
export async function startFunctionHosts(options: FunctionHostsOptions): Promise<FunctionHosts> {
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const pools = new Map<string, Pool>();
  for (const [name, program] of Object.entries(options.functions)) {
    const pool = openPool(name, {
      program,
      containerConcurrency: program.containerConcurrency ?? 10,
      maxScale: program.maxScale ?? 1,
      idleMs: options.warm ? undefined : options.idleMs,
      waitMs: options.waitMs ?? 30_000,
      folder: options.folder,
      processes: options.processes,
      dispatcher,
      log: options.log ?? ((): void => undefined),
    });
    pools.set(name, pool);
  }
  const poolOf = (name: string): Pool => {
    const pool = pools.get(name);
    if (pool === undefined) throw new Error(`No function is called ${name}; there are ${[...pools.keys()].join(', ')}`);
    return pool;
  };

  const server = createServer((incoming, outgoing) => void route(incoming, outgoing));
  server.keepAliveTimeout = 95_000;
  // the time limit is the function's, not node:http's five minutes for a whole request
  server.requestTimeout = 0;
  await once(server.listen(options.port ?? 0, '127.0.0.1'), 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function route(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const [, name = '', rest = ''] = /^\/([^/?]*)(.*)$/.exec(incoming.url ?? '') ?? [];
    const pool = pools.get(name);
    if (pool === undefined) return refuse(outgoing, 404, `no function is called ${name}`);
    let place: Awaited<ReturnType<Pool['acquire']>>;
    try {
      place = await pool.acquire();
    } catch (error) {
      return refuse(outgoing, 503, error instanceof Error ? error.message : String(error));
    }
    const path = rest.startsWith('/') ? rest : `/${rest}`;
    const url = `http://127.0.0.1:${place.instance.port}${path}`;
    const timeoutMs = options.functions[name]?.timeoutMs ?? 120_000;
    await forward(incoming, outgoing, { url, dispatcher, timeoutMs, whenLost: () => soonGone(place.instance) });
    place.release();
  }

  async function stopAll({ graceMs = 5000 }: { graceMs?: number } = {}): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve));
    await Promise.all([...pools.values()].map((pool) => pool.close(graceMs)));
    server.closeAllConnections();
    await closed;
    await dispatcher.destroy();
  }

  if (options.warm) {
    const starts = [...pools].map(([name, pool]) => pool.scaleTo(options.functions[name]?.maxScale ?? 1));
    await Promise.all(starts).catch(async (cause: unknown) => {
      await stopAll();
      throw cause;
    });
  }
  return {
    url: (name) => {
      poolOf(name);
      return `${base}/${name}`;
    },
    running: () => [...pools].flatMap(([name, pool]) => pool.instances().map((instance) => shown(name, instance))),
    stop: (name, { graceMs = 30_000 } = {}) => poolOf(name).stop(graceMs),
    kill: (name, signal) => {
      const pids = poolOf(name)
        .instances()
        .map((instance) => instance.process.pid);
      return pids.filter((pid) => signalGroup(pid, signal));
    },
    stopAll,
  };
}

function shown(name: string, instance: ReturnType<Pool['instances']>[number]): RunningFunction {
  const { port, inFlight, isReady, isStopping } = instance;
  return { name, pid: instance.process.pid, port, inFlight, isReady: isReady && !isStopping };
}

function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    // it ended by itself just now
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** A connection that broke mostly means a process that is dying: give the pool the moment to see it before the answer. */
async function soonGone(instance: Instance): Promise<void> {
  await Promise.race([instance.process.exited, delay(200, undefined, { ref: false })]);
}

function refuse(outgoing: ServerResponse, status: number, reason: string): void {
  if (outgoing.destroyed) return;
  // the body of the request was not read, which leaves its connection unusable
  outgoing.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${reason}\n`);
}
