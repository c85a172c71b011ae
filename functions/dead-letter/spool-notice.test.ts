import { Registry } from 'prom-client';
import { expect, test, vi } from 'vitest';
import { tellOfSpool } from './spool-notice.ts';

test.each([
  [true, 1, 0],
  [false, 0, 1],
])('with a spool or without (%s) the number says so, and an error where there is none', async (has, value, errors) => {
  const log = { error: vi.fn() };
  const registry = new Registry();
  tellOfSpool(has, { log, registry });
  expect(await registry.metrics()).toContain(`fleet_dead_letter_spool ${value}`);
  expect(log.error).toHaveBeenCalledTimes(errors);
  if (errors > 0) expect(log.error).toHaveBeenCalledWith(expect.stringContaining('components/dead-letter-spool'));
});
