import { request } from 'undici';
import { expect, test } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, lifeRequest, operationsOf, outcomeOf, runningInstance } from '#shared/testing/life.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

test('an instance stops, starts, restarts, is suspended, resumed, terminated, restored, terminated and purged', async () => {
  const id = await runningInstance(fleet(), 'life');
  expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'running', generation: 1, observed_generation: 1 });

  expect(await carryOut(fleet(), 'stop', id)).toMatchObject({ status: 'stopped', desired_state: 'stopped' });
  expect(await carryOut(fleet(), 'start', id)).toMatchObject({ status: 'running', desired_state: 'running' });
  expect(await until('the page', async () => (await fleet().loginPage('life')) === 200)).toBe(true);
  expect(await carryOut(fleet(), 'restart', id)).toMatchObject({ status: 'running' });

  expect(await carryOut(fleet(), 'suspend', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
  expect(await until('the suspension page', async () => (await fleet().loginPage('life')) === 402)).toBe(true);
  expect(await carryOut(fleet(), 'suspend', id, { cause: 'abuse' })).toMatchObject({ status: 'suspended' });
  expect(await until('the other page', async () => (await fleet().loginPage('life')) === 403)).toBe(true);
  expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
  expect(await carryOut(fleet(), 'resume', id, { cause: 'abuse' })).toMatchObject({ status: 'running' });
  expect(await until('the page', async () => (await fleet().loginPage('life')) === 200)).toBe(true);

  expect(await carryOut(fleet(), 'terminate', id)).toMatchObject({ status: 'terminated', host: null });
  expect(await carryOut(fleet(), 'undo', id)).toMatchObject({ status: 'running', desired_state: 'running' });
  expect(await until('the page', async () => (await fleet().loginPage('life')) === 200)).toBe(true);

  expect(await carryOut(fleet(), 'terminate', id)).toMatchObject({ status: 'terminated', host: null });
  const early = lifeRequest('purge', id);
  await fleet().publish(early);
  expect(await outcomeOf(fleet(), early)).toBe('refused: not-allowed');
  await fleet().rows(`update instances set purge_after = now() - interval '1 second' where id = $1 returning id`, [id]);
  const unproven = lifeRequest('purge', id);
  await fleet().publish(unproven);
  expect(await outcomeOf(fleet(), unproven)).toBe('refused: backup-required');
  expect(await carryOut(fleet(), 'purge', id, { withoutbackup: true })).toMatchObject({
    status: 'terminated',
    db_server_id: null,
    purged_at: expect.any(Date),
  });
  const traces = await fleet().tracesOf(id);
  console.log(JSON.stringify(traces));
  console.log((await operationsOf(fleet(), id)).map(({ kind, state }) => `${kind} ${state}`).join('\n'));
  expect(namesOf(id).object).toContain(id);
  expect(request).toBeDefined();
  expect(tenantNamespace).toBeDefined();
}, 180_000);
