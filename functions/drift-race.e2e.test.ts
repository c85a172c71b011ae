import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import {
  deleteByHand,
  editByHand,
  forgetFindings,
  lookAgain,
  nothingGoesOn,
  objectOf,
  openFindings,
  repairsOf,
} from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import {
  carryOut,
  instanceSeen,
  lifeRequest,
  operationsOf,
  outcomeOf,
  pageAnswers,
  runningInstance,
} from '#shared/testing/life.ts';
import { expectAsBefore, expectUntouched, worldOf } from '#shared/testing/world.ts';

// Twenty ways in which a suspension falls between a drift that is seen and its repair. Seeded: the title has all there is.

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  functionSettings: { RECONCILE_EVERY_MS: '3600000', LEASE_MS: '5000' },
});

let id: string;
beforeAll(async () => {
  [id] = await Promise.all([runningInstance(fleet(), 'raced'), runningInstance(fleet(), 'bystander')]);
});
afterEach(() => fleet().broker.setFaults(undefined));

type Deployment = { spec: { replicas: number } };

/** What somebody does by hand; a repair of each makes pods, for an instance that is wanted to run. */
const drifts = {
  'scaled to 0': () =>
    editByHand(fleet(), { kind: kinds.deployment, name: namesOf(id).object }, ({ spec }: Deployment) => {
      spec.replicas = 0;
    }),
  'its Deployment deleted': () => deleteByHand(fleet(), kinds.deployment, namesOf(id).object),
} as const;

/** When the suspension is sent. */
const moments = {
  'before the drift is looked for': async () => undefined,
  'when the repair is asked for': () => until('the finding', async () => (await openFindings(fleet(), id)).length > 0),
  'when the repair is accepted': () => until('the repair', async () => (await unfinishedRepairs()).length > 0),
  'when the repair is at work': () =>
    until('a step', async () => (await unfinishedRepairs()).some(({ state }) => state !== 'queued')),
  'when the repair waits for the page': () =>
    until('the wait', async () => (await unfinishedRepairs()).some(({ step }) => step === 'ready')),
} as const;

/** What delays one of both. */
const hindrances = {
  'deliveries that take up to 800 ms': (seed: number) => {
    fleet().broker.setFaults({ random: seed, delayMs: 800, duplicatePercent: 30 });
    return async () => undefined;
  },
  'the instance’s row held until somebody has to wait for it': () => {
    // both want it for their acceptance, and for what they end with
    const held = fleet().records.transaction(
      async (transaction) => {
        await transaction.query('select 1 from instances where id = $1 for update', [id]);
        await until('somebody to wait', someoneWaits, { everyMs: 20 });
      },
      { idleTimeoutMs: 60_000 },
    );
    return async () => await held;
  },
} as const;

async function someoneWaits(): Promise<boolean> {
  const text = `select from pg_stat_activity where datname = 'platform' and wait_event_type = 'Lock'`;
  return (await queryAsSuperuser(fleet().servers.platform, text)).length > 0;
}

const unfinishedRepairs = async () =>
  (await repairsOf(fleet(), id)).filter(({ state }) => !['succeeded', 'failed', 'cancelled'].includes(state));

const ways = Object.keys(drifts).flatMap((drift) =>
  Object.keys(moments).flatMap((moment) => Object.keys(hindrances).map((hindrance) => [drift, moment, hindrance])),
) as [keyof typeof drifts, keyof typeof moments, keyof typeof hindrances][];

it.each(ways.map((way, index) => [...way, index + 1] as const))(
  '%s, suspended %s, with %s (seed %i): nothing runs afterwards',
  async (drift, moment, hindrance, seed) => {
    await forgetFindings(fleet());
    const before = await worldOf(fleet());
    await drifts[drift]();
    const suspension = lifeRequest('suspend', id, { cause: 'billing' });
    const over = hindrances[hindrance](seed);
    const look = lookAgain(fleet(), { instance: id });
    // Not every way has this moment: a delivery may be late, or a repair quick.
    await Promise.race([moments[moment](), delay(5_000)]);
    await fleet().publish(suspension);
    await Promise.all([look, over()]);
    expect(await outcomeOf(fleet(), suspension)).toBe('accepted');
    await until('the suspension to end', async () => (await suspensionOf())?.state === 'succeeded');
    // from now on, whatever is still on its way
    await expectToStayDown();
    fleet().broker.setFaults(undefined);
    await carryOut(fleet(), 'resume', id, { cause: 'billing' });
    await pageAnswers(fleet(), 'raced', 200);
    const after = await worldOf(fleet());
    expectUntouched(before, after, { but: [id] });
    expectAsBefore(withoutRow(before), withoutRow(after), {
      instance: id,
      madeAnew: [`Deployment/${namesOf(id).object}`],
    });
  },
);

const suspensionOf = async () => (await operationsOf(fleet(), id)).findLast(({ kind }) => kind === 'suspend');

async function expectToStayDown(): Promise<void> {
  let isAtRest = false;
  const rest = nothingGoesOn(fleet()).finally(() => {
    isAtRest = true;
  });
  for (let isLast = false; !isLast; ) {
    // once more after everything has ended
    isLast = isAtRest;
    const deployment = await objectOf<Deployment>(fleet(), kinds.deployment, namesOf(id).object);
    expect(deployment?.spec.replicas ?? 0).toBe(0);
    const { objects } = await fleet().tracesOf(id);
    expect(objects.filter((name) => name.startsWith('Pod/'))).toEqual([]);
    await delay(20);
  }
  await rest;
  expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'suspended', desired_state: 'running' });
  await pageAnswers(fleet(), 'raced', 402);
}

/** Its generation counts the wishes. */
function withoutRow(world: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(world).filter(([name]) => name !== `row ${id}`));
}
