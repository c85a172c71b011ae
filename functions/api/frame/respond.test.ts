import { beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import type { AccessPorts } from '../ports.ts';
import { nobody, type Route, route } from '../route.ts';
import { respond } from './respond.ts';
import { routedRequest } from './routed-request.fixture.ts';

let handled = 0;
beforeEach(() => {
  handled = 0;
});

const changing = (handle: Route['handle']): Route =>
  route({
    method: 'POST',
    path: '/v1/things',
    operationId: 'change',
    summary: 'Changes it.',
    scope: 'instances:write',
    limit: 'none',
    deadlineMs: 30,
    responses: {},
    handle: (call) => {
      handled += 1;
      return handle(call);
    },
  });

const access = (authenticate: AccessPorts['authenticate']): AccessPorts => ({
  authenticate,
  limit: async () => ({ isAllowed: true, limit: 1, remaining: 1, retryAfterMs: 0 }),
});
const somebody = { ...nobody, scopes: ['instances:write'] as const };
const codeOf = (asked: Promise<unknown>) => asked.then(String, (failure: Failure) => failure.code);

describe('the time of a request', () => {
  it('is that of finding out who asks, too, and then nothing was done', async () => {
    const { promise: known, resolve } = Promise.withResolvers<typeof somebody>();
    const asked = respond(
      changing(async () => ({ status: 204 })),
      routedRequest,
      access(() => known),
    );
    expect(await codeOf(asked)).toBe('timeout');
    resolve(somebody);
    await known;
    await new Promise(setImmediate);
    expect(handled).toBe(0);
  });

  it('that is over while something is changed says that it may have been done', async () => {
    const asked = respond(
      changing(() => new Promise(() => undefined)),
      routedRequest,
      access(async () => somebody),
    );
    expect([await codeOf(asked), handled]).toEqual(['outcome-unknown', 1]);
  });

  it('is over when nobody waits for it, before anything is begun', async () => {
    const gone = AbortSignal.abort();
    const asked = respond(
      changing(async () => ({ status: 204 })),
      { ...routedRequest, signal: gone },
      access(async () => somebody),
    );
    expect([await codeOf(asked), handled]).toEqual(['gone', 0]);
  });

  it('of one who leaves while something is changed is used for it all the same', async () => {
    const leaves = new AbortController();
    const route = changing(async () => {
      leaves.abort();
      return { status: 204 };
    });
    const asked = respond(
      route,
      { ...routedRequest, signal: leaves.signal },
      access(async () => somebody),
    );
    expect(await asked).toMatchObject({ reply: { status: 204 } });
  });

  it.each([
    ['who asks cannot be told now', 'unavailable'],
    ['he is nobody we know', 'unauthenticated'],
  ] as const)('of one who leaves says what it came to where %s', async (_why, code) => {
    const asked = respond(
      changing(async () => ({ status: 204 })),
      { ...routedRequest, signal: AbortSignal.abort() },
      access(() => Promise.reject(new Failure(code, 'x'))),
    );
    expect([await codeOf(asked), handled]).toEqual([code, 0]);
  });
});
