import { pino } from 'pino';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  beginBackup,
  endHeld,
  insertBackup,
  insertPlacedInstance,
  setDeleting,
  setProof,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { readFleetNumbers } from '#shared/adapters/postgres/fleet-numbers.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { makeMetrics } from '#shared/runtime/metrics.ts';
import { serve } from '#shared/runtime/serve.ts';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeFleetGauges } from './gauges.ts';

const platform = platformOfThisFile();
let database: Database;

beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
  await insertServer(database, { id: 'odoo-1', maxInstances: 7 });
});

/** The numbers as Prometheus reads them from the process, by name and labels. */
async function scrape(): Promise<Map<string, number>> {
  const metrics = makeMetrics({ functionName: 'reconcile', withNodeMetrics: false });
  metrics.addPool('platform', () => database.stats());
  makeFleetGauges(metrics.registry)(await readFleetNumbers(database));
  const log = pino({ level: 'silent' });
  const served = await serve(async () => undefined, { port: 0, host: '127.0.0.1', log, metrics });
  try {
    const answer = await fetch(`http://127.0.0.1:${served.port}/metrics`);
    expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => {
        const [, name = '', value] = /^(.*) (\S+)$/.exec(line.replace(/,?function="reconcile"/, '')) ?? [];
        return [name.replace('{}', ''), Number(value)];
      }),
    );
  } finally {
    await served.drain();
  }
}

const operation = (number: number, kind: string, { state = 'waiting', minutesOld = 0, minutesLeft = 5 } = {}) =>
  database.query(
    `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key,
       requested_by, cause, request, created_at)
     values (gen_random_uuid(), $1, $2, 1, $3, now() + $4::integer * interval '1 minute', $1 || $2,
       'urn:x', 'x', '{}', now() - $5::integer * interval '1 minute')`,
    [testInstanceId(number), kind, state, minutesLeft, minutesOld],
  );

test('a scrape of the function that ticks shows what waits in the fleet, by kind and state, and for how long', async () => {
  for (const number of [1, 2, 3]) await insertTestInstance(database, testInstanceId(number));
  await operation(1, 'provision', { minutesOld: 20, minutesLeft: -10 });
  await operation(2, 'provision', { minutesOld: 5 });
  await operation(3, 'stop', { state: 'queued' });
  await enqueue(database, [{ id: crypto.randomUUID(), type: 'x', source: 'urn:x', data: {} }]);
  await database.query(`update outbox set created_at = now() - interval '40 seconds'`);
  await database.query(`update reconcile_shards set due_at = now() + interval '1 minute', blind = '{}'`);
  await database.query(
    `update reconcile_shards set due_at = now() - interval '10 minutes', blind = '{server odoo-1}' where shard = 'a'`,
  );
  await database.query(
    `insert into dead_events (id, received_by, reason_code, reason, body, digest, class, state)
     select n::text, 'provision', 'x', 'x', '', sha256(n::text::bytea), 'permanent', state
     from unnest('{waiting,waiting,given-up,resolved}'::text[]) with ordinality as one (state, n)`,
  );

  const numbers = await scrape();
  const about = (seconds: number) => ({ asymmetricMatch: (n: unknown) => Math.abs(Number(n) - seconds) < 10 });
  expect(Object.fromEntries(numbers)).toMatchObject({
    'fleet_instances{status="creating"}': 3,
    'fleet_operations{kind="provision",state="waiting"}': 2,
    'fleet_operations{kind="stop",state="queued"}': 1,
    'fleet_operations_oldest_age_seconds{kind="provision",state="waiting"}': about(1_200),
    'fleet_operations_overdue{kind="provision"}': 1,
    'fleet_operations_longest_overdue_seconds{kind="provision"}': about(600),
    fleet_outbox_unpublished_events: 1,
    fleet_outbox_oldest_unpublished_age_seconds: about(40),
    'fleet_dead_events{class="permanent",state="waiting"}': 2,
    'fleet_dead_events{class="permanent",state="given-up"}': 1,
    fleet_reconcile_shards_overdue: 1,
    fleet_reconcile_oldest_delay_seconds: about(600),
    fleet_reconcile_shards_blind: 1,
    'fleet_database_server_max_instances{server="odoo-1"}': 7,
    'fleet_pool_max_connections{pool="platform"}': 5,
  });
  expect([...numbers.keys()].filter((name) => name.includes('resolved'))).toEqual([]);
  for (const name of numbers.keys()) expect(name).not.toMatch(/[a-z2-7]{12}/);
});

test('an empty fleet shows zeros where nothing waits, and no state without a row', async () => {
  await database.query('truncate operations, outbox, dead_events, findings cascade');
  const numbers = await scrape();
  expect(numbers.get('fleet_outbox_unpublished_events')).toBe(0);
  expect(numbers.get('fleet_outbox_oldest_unpublished_age_seconds')).toBe(0);
  expect([...numbers.keys()].filter((name) => /fleet_(operations|dead_events|findings)/.test(name))).toEqual([]);
});

test('shards that are put off for ever are not overdue', async () => {
  await database.query(`update reconcile_shards set due_at = 'infinity'`);
  const numbers = await scrape();
  expect(numbers.get('fleet_reconcile_shards_overdue')).toBe(0);
  expect(numbers.get('fleet_reconcile_oldest_delay_seconds')).toBe(0);
});

describe('backups', () => {
  const set = (id: string, what: string) => database.query(`update backups set ${what} where id = $1`, [id]);

  test('an empty fleet has none, and nothing is wrong about it', async () => {
    await database.query('truncate instances, operations, backups, verifications cascade');
    const numbers = await scrape();
    const backups = Object.fromEntries([...numbers].filter(([name]) => name.includes('fleet_backup')));
    expect(backups).toEqual({
      fleet_backup_oldest_proven_age_seconds: 0,
      fleet_backup_instances_unproven: 0,
      fleet_backup_instances_overdue: 0,
      fleet_backup_finals_missing: 0,
      fleet_backups_refuted: 0,
      fleet_backups_deleting: 0,
      fleet_backups_dump_bytes: 0,
      'fleet_backup_slots_used{server="odoo-1",purpose="tenants"}': 0,
      'fleet_backup_slots{server="odoo-1",purpose="tenants"}': 2,
    });
  });

  test('the oldest proven point counts, and whoever has none, or no backup in time', async () => {
    const ids: string[] = [];
    for (const number of [11, 12, 13, 14]) ids.push(await insertPlacedInstance(database, number, 'odoo-1'));
    const [well, stale, unproven, bare] = ids as [string, string, string, string];
    await database.query(`update instances set created_at = now() - interval '49 hours'`);
    await insertBackup(database, well, { daysAgo: 5, proof: 'proven' });
    await insertBackup(database, well, { daysAgo: 1, proof: 'proven' });
    await insertBackup(database, stale, { daysAgo: 9, proof: 'proven' });
    await insertBackup(database, unproven, { kind: 'manual' });
    await insertBackup(database, unproven, { proof: 'refuted' });
    await setDeleting(database, await insertBackup(database, unproven));
    await set(await insertBackup(database, well), `state = 'failed', error_code = 'x', error_text = 'x'`);
    const operation = await beginBackup(database, bare);
    const numbers = await scrape();
    expect(numbers.get('fleet_backup_oldest_proven_age_seconds')).toBeCloseTo(9 * 86_400, -2);
    expect(Object.fromEntries(numbers)).toMatchObject({
      fleet_backup_instances_unproven: 2,
      fleet_backup_instances_overdue: 2,
      fleet_backup_finals_missing: 0,
      fleet_backups_refuted: 1,
      fleet_backups_deleting: 1,
      fleet_backups_dump_bytes: 5_000,
      'fleet_backups_running{kind="manual"}': 1,
      'fleet_backups_failed{kind="scheduled"}': 1,
      'fleet_backup_slots_used{server="odoo-1",purpose="tenants"}': 1,
    });
    await endHeld(database, operation.id, 'failed');
  });

  test('a terminated instance past its window without a proven final one is shown, and no other of its numbers', async () => {
    const id = await insertPlacedInstance(database, 20, 'odoo-1');
    await database.query('delete from backups where instance_id <> $1', [id]);
    await database.query(
      `update instances set desired_state = 'terminated', terminated_at = now() - interval '2 days',
         purge_after = now() - interval '1 day', desired_before = 'running'`,
    );
    const all = (await database.query('select 1 from instances')).rowCount;
    expect((await scrape()).get('fleet_backup_finals_missing')).toBe(all);
    const final = await insertBackup(database, id, { kind: 'final' });
    expect((await scrape()).get('fleet_backup_finals_missing')).toBe(all);
    await setProof(database, final);
    const numbers = await scrape();
    expect(numbers.get('fleet_backup_finals_missing')).toBe(all - 1);
    expect(numbers.get('fleet_backup_instances_overdue')).toBe(0);
  });
});
