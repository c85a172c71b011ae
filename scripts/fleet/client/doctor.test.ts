import { expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import type { Answer, Api } from './api.ts';
import { doctor } from './doctor.ts';

const pool = { total: 2, idle: 2, waiting: 0, max: 5 };
const healthy = {
  database: { isReachable: true, pool },
  redis: { isReachable: true },
  outbox: { waiting: 0, oldestSeconds: 0 },
};

/** What the doctor finds where the API answers this. */
async function examined(
  health: Partial<Answer>,
  list: Partial<Answer> = {},
  fleet: Readonly<Record<string, Partial<Answer>>> = {},
) {
  const answer = (given: Partial<Answer>): Answer => ({
    status: 200,
    headers: { date: new Date().toUTCString() },
    body: healthy,
    ...given,
  });
  const api = {
    host: 'api.example',
    async look(path: string) {
      if (path === '/v1/health') return answer(health);
      const name = path.replace(/^\/v1\/|\?.*$/g, '');
      return answer(name === 'instances' ? list : (fleet[name] ?? { status: 403, body: {} }));
    },
  } as unknown as Api;
  const screen = { print: () => undefined, printError: () => undefined };
  const { json, exitCode } = await doctor.run({ operands: [], options: {}, env: {}, screen, api: () => api });
  type Found = { what: string; state: string; remedy?: string };
  const { findings } = json as { findings: Found[] };
  const notWell = findings.filter(({ state }) => state !== 'ok');
  for (const { remedy } of notWell) expect(remedy).toMatch(/\w/);
  return { exitCode, notWell: notWell.map(({ what, state }) => `${what} ${state}`) };
}

test('all is well where all is', async () => {
  expect(await examined({})).toEqual({ exitCode: 0, notWell: [] });
});

test('records that do not answer fail it; Redis, a late outbox and waiting calls are warnings', async () => {
  const down = { ...healthy, database: { isReachable: false, pool }, outbox: null };
  expect(await examined({ status: 503, body: down })).toEqual({
    exitCode: 3,
    notWell: ['records failed', 'broker failed'],
  });
  const slow = {
    database: { isReachable: true, pool: { ...pool, waiting: 3 } },
    redis: { isReachable: false },
    outbox: { waiting: 9, oldestSeconds: 31 },
  };
  expect(await examined({ body: slow })).toEqual({
    exitCode: 0,
    notWell: ['records warning', 'Redis warning', 'broker warning'],
  });
});

test.each([-60_000, 60_000])('a clock that is %i ms off is a warning', async (offMs) => {
  const date = new Date(Date.now() + offMs).toUTCString();
  expect(await examined({ headers: { date } })).toEqual({ exitCode: 0, notWell: ['clock warning'] });
});

test('a token that may not list instances is a good one; one that is not taken is refused', async () => {
  const problem = (code: string) => ({ detail: 'Not so.', code, requestId: 'r', errors: [] });
  expect(await examined({}, { status: 403, body: problem('forbidden') })).toEqual({
    exitCode: 0,
    notWell: ['token warning'],
  });
  expect(await examined({}, { status: 401, body: problem('unauthenticated') })).toEqual({
    exitCode: 4,
    notWell: ['token failed'],
  });
});

test('somebody else’s answer is not taken for the API’s, and none is told as that', async () => {
  expect(await examined({ body: { hello: 'world' } })).toEqual({ exitCode: 3, notWell: ['API failed'] });
  const api = {
    host: 'api.example',
    look: async () => await Promise.reject(new Failure('unavailable', 'api.example is not reached.')),
  } as unknown as Api;
  const screen = { print: () => undefined, printError: () => undefined };
  const { exitCode, lines } = await doctor.run({ operands: [], options: {}, env: {}, screen, api: () => api });
  expect(exitCode).toBe(3);
  expect(lines.join('\n')).toContain('FLEET_URL');
});

const server = { id: 'pg-1', purpose: 'tenants', instances: 3, maxInstances: 50, reachedAt: '2027-01-01T00:00:00Z' };
const pageOf = (...items: unknown[]) => ({ body: { items, next: null, total: items.length } });
const fleetIsWell = { 'db-servers': pageOf(server), findings: pageOf(), 'dead-events': pageOf() };

test('an admin is told of servers, clusters and dead letters; whoever may not see them is told nothing', async () => {
  expect(await examined({}, {}, fleetIsWell)).toEqual({ exitCode: 0, notWell: [] });
  const troubled = {
    'db-servers': pageOf(server, { ...server, id: 'pg-2', reachedAt: null }),
    findings: pageOf({ subject: 'cluster default' }),
    'dead-events': pageOf({ sequence: 1 }),
  };
  expect(await examined({}, {}, troubled)).toEqual({
    exitCode: 1,
    notWell: ['database servers warning', 'places failed', 'dead letters warning'],
  });
  const full = { ...fleetIsWell, 'db-servers': pageOf({ ...server, instances: 50 }) };
  expect(await examined({}, {}, full)).toEqual({ exitCode: 0, notWell: ['database servers warning'] });
});

test('what the API cannot tell now is not taken for well', async () => {
  const away = { status: 503, body: {} };
  expect(await examined({}, {}, { ...fleetIsWell, findings: away })).toEqual({
    exitCode: 0,
    notWell: ['findings warning'],
  });
});
