import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest, PublishedEvent } from './fleet.fixture.ts';
import { cutFromDatabase } from './outage.fixture.ts';
import { readyPods } from './pods.fixture.ts';

const namespace = 'knative-eventing';
const dispatcher = 'messaging.knative.dev/channel=in-memory-channel,messaging.knative.dev/role=dispatcher';

/** The Broker's dispatcher holds events in memory only: what dies with it, and what does not. */
export function dispatcherTests(fleet: () => FleetUnderTest): void {
  const instances: string[] = [];

  it('loses nothing that had a row: the tick finishes it', async () => {
    const { provision, operationsOf, settled } = fleet();
    for (const name of ['dispatcher-1', 'dispatcher-2'])
      instances.push(await provision(name, { customer: 'dispatcher' }));
    const all = async () => (await Promise.all(instances.map((id) => operationsOf(id)))).flat();
    await until('the rows', async () => (await all()).length === instances.length, { limitMs: 60_000 });
    const restarted = await killDispatcher(fleet());
    try {
      expect((await all()).filter(({ state }) => state !== 'succeeded')).not.toEqual([]);
      for (const id of instances) expect(await settled(id, { limitMs: 300_000 })).toBe('running');
      expect(await all()).toHaveLength(instances.length);
    } finally {
      await restarted();
    }
  }, 420_000);

  it('loses what has no row yet, and nothing of a publisher who sends again until it is accepted', async () => {
    const { operationsOf, settled, publish } = fleet();
    const stopsOf = async (id: string) => (await operationsOf(id)).filter(({ kind }) => kind === 'stop');
    const events = instances.map((instance): PublishedEvent & { instance: string } => ({
      id: randomUUID(),
      type: 'dev.odoofleet.instance.stop.requested',
      instance,
      data: { instance },
    }));
    // So the events are with the dispatcher for sure: it tries and tries.
    const mend = await cutFromDatabase(fleet(), 'stop');
    let restarted: () => Promise<void>;
    try {
      for (const event of events) await publish(event);
      restarted = await killDispatcher(fleet());
    } finally {
      await mend();
    }
    await restarted();
    const isAccepted = async ({ instance }: { instance: string }) => (await stopsOf(instance)).length > 0;
    for (const event of events) expect(await isAccepted(event)).toBe(false);
    for (const event of events) {
      await until(
        `${event.id} to be accepted`,
        async () => {
          if (await isAccepted(event)) return true;
          await sendOnce(fleet(), event);
          return false;
        },
        { limitMs: 60_000 },
      );
    }
    for (const event of events) {
      await publish(event);
      expect(await settled(event.instance, { operationCount: 2 })).toBe('stopped');
      expect(await stopsOf(event.instance)).toHaveLength(1);
    }
  }, 420_000);
}

/** A Broker whose dispatcher is away may refuse: the publisher tries again a second later. */
async function sendOnce({ publish }: FleetUnderTest, event: PublishedEvent): Promise<void> {
  try {
    await publish(event);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('did not take')) throw error;
  }
  await pause(1_000);
}

/** Removes the dispatcher's pod without a time to end. Returns what waits until another one is there. */
async function killDispatcher(fleet: FleetUnderTest): Promise<() => Promise<void>> {
  const pods = async () =>
    (await readyPods(fleet, { namespace, labels: dispatcher })).map(({ metadata }) => metadata.name);
  const before = await pods();
  await fleet.kubectl.run(['-n', namespace, 'delete', 'pods', '-l', dispatcher, '--force', '--grace-period=0']);
  return async () => {
    const isBack = async () => (await pods()).some((name) => !before.includes(name));
    await until('another dispatcher', isBack, { limitMs: 120_000 });
    await fleet.kubectl.rollout(namespace, ['imc-dispatcher']);
  };
}
