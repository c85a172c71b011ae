import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { editByHand, forgetFindings, lookAgain, nothingGoesOn, objectOf, repairsOf } from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, lifeRequest, operationsOf, outcomeOf, runningInstance } from '#shared/testing/life.ts';

// What was seen when an instance should run, and is repaired when it must not any more.

const fleet = fleetOfThisFile({ waitsForWarm: true, functionSettings: { RECONCILE_EVERY_MS: '3600000' } });

let id: string;
beforeAll(async () => {
  id = await runningInstance(fleet(), 'raced');
});

type Deployment = { spec: { replicas: number } };
const deployment = () => ({ kind: kinds.deployment, name: namesOf(id).object });
const replicas = async () => (await objectOf<Deployment>(fleet(), kinds.deployment, deployment().name))?.spec.replicas;
const pods = async () => (await fleet().tracesOf(id)).objects.filter((name) => name.startsWith('Pod/'));
const scaleByHand = (to: number) =>
  editByHand(fleet(), deployment(), ({ spec }: Deployment) => {
    spec.replicas = to;
  });

/** From the end of the suspension until everything has ended, and at the end, nothing of the instance runs. */
async function expectToStayDown(): Promise<void> {
  await until('the suspension to end', async () =>
    (await operationsOf(fleet(), id))
      .filter(({ kind }) => kind === 'suspend')
      .every(({ state }) => state === 'succeeded'),
  );
  let isAtRest = false;
  // repairs that were asked for late included
  const rest = nothingGoesOn(fleet()).finally(() => {
    isAtRest = true;
  });
  do {
    expect([await replicas(), await pods()]).toEqual([0, []]);
    await delay(20);
  } while (!isAtRest);
  await rest;
  expect([await replicas(), await pods()]).toEqual([0, []]);
  expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'suspended', desired_state: 'running' });
}

describe('a repair never starts what a suspension has stopped:', () => {
  it('asked for before and delivered after it, it finds nothing to do', async () => {
    await carryOut(fleet(), 'suspend', id, { cause: 'billing' });
    const late = lifeRequest('repair', id, { findings: ['replicas-wrong', 'deployment-missing'] });
    await fleet().publish(late);
    expect(await outcomeOf(fleet(), late)).toBe('accepted');
    await expectToStayDown();
    await carryOut(fleet(), 'resume', id, { cause: 'billing' });
  });

  // The suspension comes before, while and after the drift is seen and its repair is accepted and begins.
  it.each([0, 50, 100, 200, 400, 800])(
    'with the suspension %i ms after the look that finds the drift began',
    async (waitMs) => {
      await forgetFindings(fleet());
      const before = (await repairsOf(fleet(), id)).length;
      await scaleByHand(0);
      const suspension = lifeRequest('suspend', id, { cause: 'billing' });
      const look = lookAgain(fleet(), { instance: id });
      await delay(waitMs);
      await fleet().publish(suspension);
      await look;
      expect(await outcomeOf(fleet(), suspension)).toBe('accepted');
      await expectToStayDown();
      expect((await repairsOf(fleet(), id)).length - before).toBeLessThanOrEqual(1);
      await carryOut(fleet(), 'resume', id, { cause: 'billing' });
      expect(await replicas()).toBe(1);
    },
  );
});

it('a resume that leaves another reason open takes down what runs all the same, and waits for no repair', async () => {
  for (const cause of ['abuse', 'billing']) await carryOut(fleet(), 'suspend', id, { cause });
  await scaleByHand(1);
  await until('a pod', async () => (await pods()).length > 0);
  const before = (await repairsOf(fleet(), id)).length;
  expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
  expect([await replicas(), await pods()]).toEqual([0, []]);
  expect(await repairsOf(fleet(), id)).toHaveLength(before);
  expect(await carryOut(fleet(), 'resume', id, { cause: 'abuse' })).toMatchObject({ status: 'running' });
  expect(await replicas()).toBe(1);
});
