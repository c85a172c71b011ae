import { expect, test } from 'vitest';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, lifeRequest, operationsOf, outcomeOf, runningInstance } from '#shared/testing/life.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

const answers = (status: number) =>
  until(`the host to answer ${status}`, async () => (await fleet().loginPage('life')) === status);

test('a whole life: stopped, started, restarted, suspended, resumed, terminated, restored, terminated, purged', async () => {
  const id = await runningInstance(fleet(), 'life');
  expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'running', generation: 1, observed_generation: 1 });

  expect(await carryOut(fleet(), 'stop', id)).toMatchObject({ status: 'stopped', desired_state: 'stopped' });
  expect(await carryOut(fleet(), 'start', id)).toMatchObject({ status: 'running', desired_state: 'running' });
  await answers(200);
  expect(await carryOut(fleet(), 'restart', id)).toMatchObject({ status: 'running' });

  expect(await carryOut(fleet(), 'suspend', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
  await answers(402);
  expect(await carryOut(fleet(), 'suspend', id, { cause: 'abuse' })).toMatchObject({ status: 'suspended' });
  await answers(403);
  expect(await carryOut(fleet(), 'resume', id, { cause: 'abuse' })).toMatchObject({ status: 'suspended' });
  await answers(402);
  expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'running' });
  await answers(200);

  expect(await carryOut(fleet(), 'terminate', id)).toMatchObject({ status: 'terminated', host: null });
  expect(await carryOut(fleet(), 'undo', id)).toMatchObject({ status: 'running', desired_state: 'running' });
  await answers(200);

  expect(await carryOut(fleet(), 'terminate', id)).toMatchObject({ status: 'terminated', host: null });
  await expectRefused(id, {}, 'not-allowed');
  await fleet().rows(`update instances set purge_after = now() - interval '1 second' where id = $1 returning id`, [id]);
  await expectRefused(id, {}, 'backup-required');
  expect(await carryOut(fleet(), 'purge', id, { withoutbackup: true })).toMatchObject({
    status: 'terminated',
    db_server_id: null,
    purged_at: expect.any(Date),
  });

  expect(await fleet().tracesOf(id)).toEqual({ databases: [], roles: [], objects: [] });
  const operations = await operationsOf(fleet(), id);
  expect(operations.map(({ state }) => state)).toEqual(operations.map(() => 'succeeded'));
  const counted = await fleet().rows<{ count: number }>('select sum(instance_count)::integer as count from db_servers');
  expect(counted).toEqual([{ count: 0 }]);
});

async function expectRefused(id: string, data: Record<string, unknown>, code: string): Promise<void> {
  const event = lifeRequest('purge', id, data);
  await fleet().publish(event);
  expect(await outcomeOf(fleet(), event)).toBe(`refused: ${code}`);
}
