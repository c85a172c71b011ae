import { describe, expect, it } from 'vitest';
import type { Failure } from '#shared/domain/failure.ts';
import type { AccessPorts, LimitAnswer } from '../ports.ts';
import { nobody, type Route, route } from '../route.ts';
import { respond } from './respond.ts';
import { routedRequest } from './routed-request.fixture.ts';

/** A route that notes when it is begun, and somebody who is counted when the test says so. */
function open({ hasRoom = true, ...special }: Partial<Route> & { hasRoom?: boolean } = {}) {
  const counted = Promise.withResolvers<LimitAnswer>();
  const begun = { times: 0 };
  const access: AccessPorts = {
    authenticate: async () => ({ ...nobody, customerId: null, scopes: ['instances:read'] }),
    limit: () => counted.promise,
    hasRoom: () => hasRoom,
  };
  const read = route({
    method: 'GET',
    path: '/v1/things',
    operationId: 'read',
    summary: 'Reads.',
    scope: 'instances:read',
    limit: 'read',
    responses: { 200: { description: 'Things.' } },
    async handle() {
      begun.times += 1;
      return { status: 200, body: { secret: 'found' } };
    },
    ...special,
  });
  const asked = respond(read, routedRequest, access);
  asked.catch(() => undefined);
  const count = (isAllowed: boolean) => counted.resolve({ isAllowed, limit: 10, remaining: 5, retryAfterMs: 1 });
  return { asked, begun, count };
}

/** All that can go on without an answer from outside has gone on. */
const asFarAsItGets = () => new Promise((resolve) => setImmediate(resolve));

describe('a read of somebody who most likely may', () => {
  it('is begun while he is counted', async () => {
    const { asked, begun, count } = open();
    await asFarAsItGets();
    expect(begun.times).toBe(1);
    count(true);
    expect(await asked).toMatchObject({ reply: { body: { secret: 'found' } } });
    expect(begun.times).toBe(1);
  });

  it('gives him nothing when he may not after all', async () => {
    const { asked, count } = open();
    await asFarAsItGets();
    count(false);
    expect(await asked.catch((failure: Failure) => failure.code)).toBe('too-many-requests');
  });

  it('says that he may not before it says what else is wrong', async () => {
    const broken = open({ handle: () => Promise.reject(new Error('not found')) });
    await asFarAsItGets();
    broken.count(false);
    expect(await broken.asked.catch((failure: Failure) => failure.code)).toBe('too-many-requests');
  });
});

describe('nothing is begun before he was counted', () => {
  it.each([
    ['for one who may have no turns left', { hasRoom: false }],
    ['that changes something', { method: 'POST' }],
    ['that costs more than a read', { limit: 'export' }],
    ['that is a stream', { responses: { 200: { description: 'News.', type: 'text/event-stream' } } }],
  ] as const)('%s', async (_name, special) => {
    const { asked, begun, count } = open(special);
    await asFarAsItGets();
    expect(begun.times).toBe(0);
    count(true);
    await asked;
    expect(begun.times).toBe(1);
  });
});
