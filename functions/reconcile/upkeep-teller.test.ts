import { Registry } from 'prom-client';
import { expect, test, vi } from 'vitest';
import { upkeepTeller } from './upkeep-teller.ts';

function world() {
  const log = { info: vi.fn(), error: vi.fn() };
  const registry = new Registry();
  return { log, registry, tell: upkeepTeller({ log, registry }) };
}
const quiet = { imported: 0, unreadable: [], replayed: 0, failed: 0, givenUp: 0, trimmed: 0 };

test('what billing gives up is an error that names it, and a number', async () => {
  const { log, registry, tell } = world();
  tell.billing({ customers: 1, asked: 1, resent: 1, givenUp: [] });
  expect(log.error).not.toHaveBeenCalled();
  const givenUp = [{ instanceId: 'abcdefgh2345', kind: 'provision' as const }];
  tell.billing({ customers: 1, asked: 0, resent: 0, givenUp });
  expect(log.error).toHaveBeenCalledWith({ givenUp }, expect.any(String));
  expect(await registry.metrics()).toContain('fleet_billing_requests_given_up_total{kind="provision"} 1');
});

test('dead events that are given up are an error: nobody but a person goes on with them', () => {
  const { log, tell } = world();
  tell.deadLetters(quiet);
  expect(log.error).not.toHaveBeenCalled();
  tell.deadLetters({ ...quiet, givenUp: 2 });
  expect(log.error).toHaveBeenCalledWith({ givenUp: 2 }, expect.stringContaining('wait for a person'));
});
