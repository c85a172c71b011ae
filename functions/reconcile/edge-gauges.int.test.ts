import { Registry } from 'prom-client';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { readEdgeWaiting } from '#shared/adapters/postgres/edge-numbers.ts';
import { readFleetNumbers, type SeldomRead } from '#shared/adapters/postgres/fleet-numbers.ts';
import { insertCatalogue, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeFleetGauges } from './gauges.ts';

const platform = platformOfThisFile();
beforeAll(() => insertCatalogue(platform()));
beforeEach(async () => {
  await platform().query(
    'truncate mails, bounced_addresses, webhook_endpoints, webhook_deliveries, kill_bill_accounts cascade',
  );
});

const edge = /^fleet_(mail|bounced|webhook|kill_bill)/;

/** The numbers of the edge as they are shown, by name and labels. */
async function shown(reads: SeldomRead = {}): Promise<Record<string, number>> {
  const registry = new Registry();
  makeFleetGauges(registry)(await readFleetNumbers(platform(), reads));
  const lines = (await registry.metrics()).split('\n').filter((line) => edge.test(line));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}
const about = (seconds: number) => ({ asymmetricMatch: (n: unknown) => Math.abs(Number(n) - seconds) < 10 });

const nothing = {
  fleet_mails_queued: 0,
  fleet_mails_oldest_queued_age_seconds: 0,
  fleet_mails_longest_overdue_seconds: 0,
  fleet_bounced_addresses: 0,
  fleet_webhook_deliveries_waiting: 0,
  fleet_webhook_deliveries_oldest_age_seconds: 0,
  fleet_webhook_deliveries_longest_overdue_seconds: 0,
  fleet_kill_bill_looks_due: 0,
  fleet_kill_bill_looks_oldest_delay_seconds: 0,
  fleet_kill_bill_accounts_failing: 0,
};

test('an edge at which nothing happens shows zeros, and no last look where there are no accounts', async () => {
  expect(await shown()).toEqual(nothing);
});

const mail = (state: string, { minutesOld = 0, dueInMinutes = 0 } = {}) =>
  platform().query(
    `insert into mails (id, template, instance_id, customer_id, operation_id, address, language, state,
       next_attempt_at, created_at, ended_at)
     values (gen_random_uuid(), 'instance-ready', $1, 'c-1', gen_random_uuid(), 'a@b.example', 'en_US', $2,
       case when $2 = 'queued' then now() + $4::integer * interval '1 minute' end,
       now() - $3::integer * interval '1 minute',
       case when $2 <> 'queued' then now() - $3::integer * interval '1 minute' end)`,
    [testInstanceId(1), state, minutesOld, dueInMinutes],
  );

test('numbers that could not be read are left out, and the others are shown', async () => {
  const none = async () => undefined;
  const { fleet_bounced_addresses: _counted, ...waiting } = nothing;
  const readWaiting = () => readEdgeWaiting(platform());
  expect(await shown({ edge: { readWaiting, readCounts: none } })).toEqual(waiting);
  expect(await shown({ edge: { readWaiting: none, readCounts: none } })).toEqual({});
});

test('mails are shown by what became of them within a day, and those that wait with their age', async () => {
  for (const state of ['sent', 'sent', 'failed', 'bounced']) await mail(state);
  await mail('sent', { minutesOld: 2 * 24 * 60 });
  await mail('queued', { minutesOld: 90, dueInMinutes: 30 });
  await platform().query(`insert into bounced_addresses (address, reason) values ('a@b.example', 'no such user')`);
  const waiting = await shown();
  expect(waiting).toMatchObject({
    fleet_mails_queued: 1,
    fleet_mails_oldest_queued_age_seconds: about(5_400),
    // its time is still to come
    fleet_mails_longest_overdue_seconds: 0,
    'fleet_mails_ended{state="sent"}': 2,
    'fleet_mails_ended{state="failed"}': 1,
    'fleet_mails_ended{state="bounced"}': 1,
    fleet_bounced_addresses: 1,
  });
  await mail('queued', { dueInMinutes: -5 });
  expect(await shown()).toMatchObject({ fleet_mails_queued: 2, fleet_mails_longest_overdue_seconds: about(300) });
});

/** An endpoint with a delivery in that state. */
async function endpoint(
  set: string,
  { state, dueInMinutes = 0, minutesOld = 0 }: { state?: string; dueInMinutes?: number; minutesOld?: number } = {},
): Promise<void> {
  const { rows } = await platform().query<{ id: string }>(
    `insert into webhook_endpoints (id, customer_id, url, secret) values (gen_random_uuid(), 'c-1', 'https://a.example', 'w')
     returning id`,
  );
  const id = rows[0]?.id;
  await platform().query(`update webhook_endpoints set ${set} where id = $1`, [id]);
  if (state === undefined) return;
  await platform().query(
    `insert into webhook_deliveries (id, endpoint_id, event_id, type, instance_id, stream, sequence, body, state,
       next_attempt_at, delivered_at, created_at)
     values (gen_random_uuid(), $1, gen_random_uuid(), 't', $2, $2, 1, '{}', $3,
       case when $3 = 'waiting' then now() + $4::integer * interval '1 minute' end,
       case when $3 = 'succeeded' then now() end, now() - $5::integer * interval '1 minute')`,
    [id, testInstanceId(1), state, dueInMinutes, minutesOld],
  );
}

test("customers' endpoints are shown by how they stand, deliveries by what became of them, and nobody by name", async () => {
  await endpoint('url = url', { state: 'succeeded' });
  await endpoint('url = url', { state: 'succeeded', minutesOld: 5 * 24 * 60 });
  await endpoint('url = url', { state: 'waiting', minutesOld: 10, dueInMinutes: -2 });
  await endpoint('failing_since = now()', { state: 'waiting', minutesOld: 60, dueInMinutes: -50 });
  await endpoint(`disabled_reason = 'failing', disabled_at = now()`, { state: 'held' });
  await endpoint(`disabled_reason = 'gone', disabled_at = now()`, { state: 'failed' });
  await endpoint('deleted_at = now(), secret = null');
  const numbers = await shown();
  expect(numbers).toMatchObject({
    fleet_webhook_deliveries_waiting: 2,
    fleet_webhook_deliveries_oldest_age_seconds: about(3_600),
    // not that of the endpoint that fails
    fleet_webhook_deliveries_longest_overdue_seconds: about(120),
    'fleet_webhook_deliveries{state="succeeded"}': 1,
    'fleet_webhook_deliveries{state="failed"}': 1,
    'fleet_webhook_deliveries{state="held"}': 1,
    'fleet_webhook_endpoints{state="enabled",reason=""}': 3,
    'fleet_webhook_endpoints{state="failing",reason=""}': 1,
    'fleet_webhook_endpoints{state="disabled",reason="failing"}': 1,
    'fleet_webhook_endpoints{state="disabled",reason="gone"}': 1,
  });
  for (const name of Object.keys(numbers)) expect(name).not.toMatch(/[a-z2-7]{12}"|c-1|example|-[0-9a-f]{4}-/);
});

test('looks at Kill Bill are shown that are due and that nobody is at, and when the last one succeeded', async () => {
  const account = (id: string, set: string) =>
    platform()
      .query('insert into kill_bill_accounts (id) values ($1)', [id])
      .then(() => platform().query(`update kill_bill_accounts set ${set} where id = $1`, [id]));
  await account('never read', `look_at = now() + interval '1 minute', attempts = 3`);
  expect(await shown()).toMatchObject({
    fleet_kill_bill_looks_due: 0,
    fleet_kill_bill_looks_oldest_delay_seconds: 0,
    fleet_kill_bill_accounts_failing: 1,
    fleet_kill_bill_last_look_timestamp_seconds: 0,
  });
  await account('due', `look_at = now() - interval '5 minutes', looked_at = now() - interval '1 hour'`);
  await account('being read', `look_at = now() - interval '9 minutes', leased_until = now() + interval '1 minute'`);
  await account('well', `look_at = null, looked_at = now() - interval '2 hours'`);
  expect(await shown()).toMatchObject({
    fleet_kill_bill_looks_due: 1,
    fleet_kill_bill_looks_oldest_delay_seconds: about(300),
    fleet_kill_bill_accounts_failing: 1,
    fleet_kill_bill_last_look_timestamp_seconds: about(Date.now() / 1_000 - 3_600),
  });
});
