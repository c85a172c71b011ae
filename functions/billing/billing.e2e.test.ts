import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { fleetOfThisFile, type TestEvent, until } from '#shared/testing/fleet.ts';
import { instanceSeen, outcomeOf, settled } from '#shared/testing/life.ts';
import { configuration, overdue, subscription } from './billing.fixture.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });
const source = 'urn:test:billing';

test('a customer takes out a trial, does not pay, pays, and is deleted: his Odoo follows', async () => {
  const instance = deriveInstanceId(source, 'subscription s-1');
  const page = (status: number) =>
    until(`the page to answer ${status}`, async () => (await fleet().loginPage('acme')) === status, {
      timeoutMs: 60_000,
    });

  await say('billing.subscription.created', subscription(1, { phase: 'trial', paid: false, configuration }));
  await page(200);

  await say('billing.invoice.payment.failed', { ...subscription(3, overdue), invoice: 'i-1' });
  await page(402);
  const refused = event('instance.start.requested', { instance });
  await fleet().publish(refused);
  expect(await outcomeOf(fleet(), refused)).toMatch(/^refused: /);

  const late = event('billing.overdue.changed', subscription(2, overdue));
  await say('billing.invoice.paid', { ...subscription(4), invoice: 'i-1' });
  await page(200);
  // the page answers before the operation ends
  await settled(fleet(), instance);
  await fleet().publish(late);
  expect(await outcomeOf(fleet(), late)).toBe('superseded');

  await say('customer.deleted', { customer: 'c-1', sequence: 1 });
  await until('its end', async () => (await instanceSeen(fleet(), instance)).status === 'terminated', {
    timeoutMs: 60_000,
  });
  const operations = await fleet().rows<{ kind: string; state: string; requested_by: string }>(
    'select kind, state, requested_by from operations where instance_id = $1 order by created_at',
    [instance],
  );
  expect(operations.map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'provision succeeded',
    'suspend succeeded',
    'resume succeeded',
    'terminate succeeded',
  ]);
  expect(new Set(operations.map((one) => one.requested_by))).toEqual(new Set(['urn:odoo-fleet']));
});

function event(type: string, data: object): TestEvent {
  return { id: randomUUID(), source, type: `dev.odoofleet.${type}`, data };
}

async function say(type: string, data: object): Promise<void> {
  const said = event(type, data);
  await fleet().publish(said);
  expect(await outcomeOf(fleet(), said)).toBe('applied');
}
