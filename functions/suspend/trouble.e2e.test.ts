import { expect, it } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import {
  carryOut,
  instanceSeen,
  lifeRequest,
  operationsOf,
  outcomeOf,
  pageAnswers,
  runningInstance,
  settled,
} from '#shared/testing/life.ts';

// Whoever must not run is taken down, whatever else is in trouble.

const fleet = fleetOfThisFile({ waitsForWarm: true });

const deploymentAnswer = async (id: string) =>
  (
    await fleet().cluster.request(
      'GET',
      `/apis/apps/v1/namespaces/${tenantNamespace}/deployments/${namesOf(id).object}`,
    )
  ).status;

it('a suspension takes the pods down while the Odoo server is away, and ends when it is back', async () => {
  const id = await runningInstance(fleet(), 'unreachable');
  await fleet().servers.odoo.stop();
  const suspend = lifeRequest('suspend', id, { cause: 'abuse' });
  try {
    await fleet().publish(suspend);
    await outcomeOf(fleet(), suspend);
    await until('the pods to be gone', async () => {
      const operation = (await operationsOf(fleet(), id)).at(-1);
      return operation?.step === 'sessions';
    });
    await pageAnswers(fleet(), 'unreachable', 403);
  } finally {
    await fleet().servers.odoo.restart();
  }
  expect(await settled(fleet(), id)).toMatchObject({ status: 'suspended' });
});

it('a suspension does not need the Secret with the passwords', async () => {
  const id = await runningInstance(fleet(), 'keyless');
  const secret = `/api/v1/namespaces/${tenantNamespace}/secrets/${namesOf(id).credentialsSecret}`;
  expect((await fleet().cluster.request('DELETE', secret)).status).toBe(200);
  expect(await carryOut(fleet(), 'suspend', id, { cause: 'billing' })).toMatchObject({ status: 'suspended' });
  await pageAnswers(fleet(), 'keyless', 402);
  expect(await deploymentAnswer(id)).toBe(404);
  // Nothing is made up in its place.
  const resume = lifeRequest('resume', id, { cause: 'billing' });
  await fleet().publish(resume);
  await until('the resume to fail', async () => (await operationsOf(fleet(), id)).at(-1)?.state === 'failed');
  expect((await operationsOf(fleet(), id)).at(-1)?.error_text).toContain('credentials Secret');
  expect((await instanceSeen(fleet(), id)).status).toBe('error');
});
