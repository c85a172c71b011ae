import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';
import { carryOut, operationsOf, runningInstance, settled } from '#shared/testing/life.ts';

// Processes whose clocks are 20 minutes apart: each is 10 minutes early or late.

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  maxScale: 3,
  functionSettings: {
    NODE_OPTIONS: `--import ${new URL('../shared/testing/clock-skew/preload.ts', import.meta.url).href}`,
    CLOCK_SKEW_MS: '600000',
    LEASE_MS: '5000',
  },
});

const timeout = 400_000;

it('whole lives side by side end right, each operation once', { timeout }, async () => {
  const lives = ['early', 'late', 'right'].map(async (name) => {
    const id = await runningInstance(fleet(), name);
    expect(await carryOut(fleet(), 'stop', id)).toMatchObject({ status: 'stopped' });
    expect(await carryOut(fleet(), 'start', id)).toMatchObject({ status: 'running' });
    expect(await carryOut(fleet(), 'suspend', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
    expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'running' });
    expect(await carryOut(fleet(), 'terminate', id)).toMatchObject({ status: 'terminated', host: null });
    expect(await carryOut(fleet(), 'undo', id)).toMatchObject({ status: 'running' });
    expect((await operationsOf(fleet(), id)).map(({ kind, state }) => `${kind} ${state}`)).toEqual(
      ['provision', 'stop', 'start', 'suspend', 'resume', 'terminate', 'undo'].map((kind) => `${kind} succeeded`),
    );
  });
  await Promise.all(lives);
});

it('a lease is nobody else’s until it is over by the database’s clock, and somebody’s soon after', {
  timeout,
}, async () => {
  // There is no template for these modules: it waits for a Job, and is looked at every few seconds.
  const event = provisionRequest('held', { modules: ['crm', 'sale'] });
  await fleet().publish(event);
  const id = instanceIdOf(event);
  await until('the Job', async () => (await fleet().operationOf(id))?.waiting_for?.startsWith('Job'));
  const [held] = await until('a moment in which nobody holds it', async () => {
    const rows = await fleet().rows<{ fence: number }>(
      `update operations set fence = fence + 1, lease_holder = 'somebody else', next_check_at = clock_timestamp(),
         lease_until = clock_timestamp() + interval '12 seconds'
       where instance_id = $1 and state = 'waiting' and (lease_until is null or lease_until < clock_timestamp())
       returning fence`,
      [id],
    );
    return rows.length > 0 && rows;
  });
  const look = async () =>
    await fleet().rows<{ fence: number; is_held: boolean }>(
      `select fence, lease_until > clock_timestamp() + interval '1 second' as is_held from operations where instance_id = $1`,
      [id],
    );
  await until('the lease to be over', async () => {
    const [row] = await look();
    if (row?.is_held !== true) return true;
    expect(row.fence).toBe(held?.fence);
    // several at once, for processes early and late
    await Promise.all([1, 2, 3].map(() => fleet().command('advance', id)));
    return false;
  });
  await until('somebody to take it', async () => ((await look())[0]?.fence ?? 0) > (held?.fence ?? 0), {
    timeoutMs: 60_000,
  });
  expect(await settled(fleet(), id)).toMatchObject({ status: 'running' });
});

it('there were processes of both kinds', async () => {
  const folder = `${fleet().folder}/functions`;
  const offsets = new Set<number>();
  for (const name of await readdir(folder)) {
    const times = [...(await readFile(`${folder}/${name}`, 'utf8')).matchAll(/"time":"([^"]+)"/g)];
    for (const [, time = ''] of times) offsets.add(Math.sign(Date.parse(time) - Date.now()));
  }
  expect([...offsets].sort((one, other) => one - other)).toEqual([-1, 1]);
});
