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
async function examined(health: Partial<Answer>, list: Partial<Answer> = {}) {
  const answer = (given: Partial<Answer>): Answer => ({
    status: 200,
    headers: { date: new Date().toUTCString() },
    body: healthy,
    ...given,
  });
  const api = {
    host: 'api.example',
    look: async (path: string) => answer(path === '/v1/health' ? health : list),
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
