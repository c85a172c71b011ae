import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startBroker } from './broker.ts';
import { copiesUnder, type Faults } from './faults.ts';
import type { TriggerStats } from './stats.ts';
import { answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { folder, subscriber, broker } = brokerTests();

test('faults drop, double and delay deliveries, the same ones in every run', async () => {
  const run = async (): Promise<{ order: string[]; counts: unknown }> => {
    const sub = await subscriber(answering(204));
    const started = await startBroker({
      folder: await mkdtemp(join(folder(), 'run-')),
      subscriberUrl: () => sub.url,
      triggers: [trigger('t')],
      faults: { dropPercent: 20, duplicatePercent: 20, delayMs: 500, random: 42 },
    });
    for (let n = 0; n < 60; n++) await publish(started.url, String(n));
    await started.idle();
    const counts = started.stats().triggers['t'];
    await started.stop();
    return { order: sub.received.map(({ id }) => id), counts };
  };
  const [first, second] = [await run(), await run()];
  expect(first.order.toSorted()).toEqual(second.order.toSorted());
  expect(first.counts).toEqual(second.counts);
  expect(first.counts).toMatchObject({ accepted: 60, delivered: first.order.length });
  expect(first.order).not.toEqual(first.order.toSorted((a, b) => Number(a) - Number(b)));
});

test('faults can be ended while the broker runs', async () => {
  const sub = await subscriber(answering(204));
  const started = await broker({
    urls: { t: sub.url },
    triggers: [trigger('t')],
    faults: { dropPercent: 100, random: 1 },
  });
  await publish(started.url, '1');
  started.setFaults(undefined);
  await publish(started.url, '2');
  await started.idle();
  expect(sub.received.map(({ id }) => id)).toEqual(['2']);
  expect(started.stats().triggers['t']).toMatchObject({ accepted: 2, dropped: 1, delivered: 1 });
});

test('each fault does its own thing to every delivery when asked for all of them', async () => {
  const sub = await subscriber(answering(204));
  const run = async (faults: Faults): Promise<{ ids: string[]; stats: TriggerStats | undefined }> => {
    const started = await broker({
      folder: await mkdtemp(join(folder(), 'run-')),
      urls: { t: sub.url },
      triggers: [trigger('t', { parallelism: 1 })],
      faults,
    });
    const before = sub.received.length;
    for (const id of ['1', '2', '3']) await publish(started.url, id);
    await started.idle();
    return { ids: sub.received.slice(before).map(({ id }) => id), stats: started.stats().triggers['t'] };
  };
  const random = 7;
  expect(await run({ dropPercent: 100, random })).toMatchObject({ ids: [], stats: { dropped: 3, delivered: 0 } });
  const doubled = await run({ duplicatePercent: 100, random });
  expect(doubled).toMatchObject({ ids: ['1', '1', '2', '2', '3', '3'], stats: { duplicated: 3, delivered: 6 } });
  // a seed under which the first of the three is held back, and not the others
  const seed = Array.from({ length: 1000 }, (_, n) => n).find((n) => {
    const isHeldBack = (id: string): boolean =>
      copiesUnder(
        { reorderPercent: 50, random: n },
        { source: '/s', id, type: 't' },
        { trigger: 't', sending: 0 },
      )[0] !== 0;
    return isHeldBack('1') && !isHeldBack('2') && !isHeldBack('3');
  });
  const reordered = await run({ reorderPercent: 50, reorderMs: 5_000, random: seed ?? 0 });
  expect(reordered.ids).toEqual(['2', '3', '1']);
});
