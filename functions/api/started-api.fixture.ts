import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type Principal, type Role, scopesOfRole } from '#shared/domain/access/principal.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';
import { becomeReady, startInstance } from '#shared/sandbox/functions/instance.ts';
import type { TestFleet } from '#shared/testing/fleet.ts';

export type Answer = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it as they like
  body: any;
};

export type AskOptions = { body?: unknown; headers?: Readonly<Record<string, string>> };

/** The function `api` as a process of its own beside a fleet. */
export type StartedApi = {
  url: string;
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
  /** SIGKILL, sent before this returns. */
  kill(): void;
  /** Waits for its end. */
  ended: Promise<unknown>;
  stop(): Promise<void>;
};

/** A key of an admin, or of one customer, straight in the records. */
export async function keyFor(fleet: TestFleet, role: Extract<Role, 'admin' | 'customer'>, customerId?: string) {
  const grant: Pick<Principal, 'role' | 'customerId' | 'scopes'> = {
    role,
    customerId: customerId ?? null,
    scopes: scopesOfRole[role],
  };
  const expiresAt = new Date(Date.now() + 3_600_000);
  const wanted = { grant, name: 'a test', expiresAt, by: 'a test' };
  return (await fleet.records.transaction((transaction) => mintKey(transaction, wanted))).text;
}

let started = 0;

/** Starts it and waits until it is ready. `settings` go on top of those of the fleet. */
export async function startApi(
  fleet: TestFleet,
  { key, settings = {} }: { key: string; settings?: Record<string, string> },
): Promise<StartedApi> {
  const program = fleet.programOf('api');
  started += 1;
  const instance = await startInstance(
    'api',
    { ...program, env: { ...program.env, RATE_LIMIT_READS: '100000', RATE_LIMIT_WRITES: '100000', ...settings } },
    { number: started, folder: join(fleet.folder, 'functions'), processes: fleet.processes },
  );
  // of its own: connections end with the process
  const dispatcher = new Agent({ headersTimeout: 60_000 });
  await becomeReady(instance, { dispatcher, withinMs: 60_000 });
  const url = `http://127.0.0.1:${instance.port}`;
  const { process: running } = instance;
  return {
    url,
    async ask(method, path, { body, headers = {} } = {}) {
      const answer = await request(`${url}${path}`, {
        method: method as 'GET',
        dispatcher,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
    },
    kill() {
      process.kill(running.pid, 'SIGKILL');
    },
    ended: running.exited,
    async stop() {
      await running.stop();
      await dispatcher.close();
    },
  };
}
