import { request } from 'undici';
import { type Principal, type Role, scopesOfRole } from '#shared/domain/access/principal.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';
import type { TestFleet } from '#shared/testing/fleet.ts';
import { type StartedFunction, startFunction } from '#shared/testing/started-function.ts';
import { parseStrictly } from '#shared/testing/strict-fields.ts';

export type Answer = {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** Refuses to be asked for what is not in it. */
  body: ReturnType<typeof parseStrictly>;
};

export type AskOptions = { body?: unknown; headers?: Readonly<Record<string, string>> };

/** The function `api` as a process of its own beside a fleet. */
export type StartedApi = Omit<StartedFunction, 'dispatcher'> & {
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
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

/** Starts it and waits until it is ready. `settings` go on top of those of the fleet. */
export async function startApi(
  fleet: TestFleet,
  { key, settings = {} }: { key: string; settings?: Record<string, string> },
): Promise<StartedApi> {
  const unlimited = { RATE_LIMIT_READS: '100000', RATE_LIMIT_WRITES: '100000' };
  const { dispatcher, ...started } = await startFunction(fleet, 'api', { ...unlimited, ...settings });
  return {
    ...started,
    async ask(method, path, { body, headers = {} } = {}) {
      const answer = await request(`${started.url}${path}`, {
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
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: text === '' ? undefined : parseStrictly(text),
      };
    },
  };
}
