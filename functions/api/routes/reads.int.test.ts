import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

const sent: string[] = [];
const api = apiOfThisFile({
  ports: ({ replay }) => ({
    replay: {
      ...replay,
      functions: ['stop'],
      resend: async (url) => {
        sent.push(url);
        return { status: 204 };
      },
    },
  }),
});
const mine = testInstanceId(1);
const other = testInstanceId(2);
const backupId = (number: number) => `0198c0de-0000-7000-8000-${String(number).padStart(12, '0')}`;

beforeAll(async () => {
  const { database } = api();
  await insertCatalogue(database);
  await insertServer(database, { id: 'pg-1', maxInstances: 10 });
  await database.query(`insert into customers (id) values ('c-2')`);
  await insertTestInstance(database, mine);
  await insertTestInstance(database, other);
  await database.query(`update instances set customer_id = 'c-2' where id = $1`, [other]);
  for (const number of [1, 2, 3, 4]) {
    await database.query(
      `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
         snapshot_at, manifest_key, manifest_sha256, dump_bytes, files_bytes, files_count, uploaded_bytes, proof, proof_at)
       select $1, i.id, i.customer_id, 'scheduled', 'succeeded', 1, 'pg-1', 'wrapped-key', t, t, t, 'place', repeat('0', 64), 10, 20, 2,
         5, $3, case when $3 <> 'none' then t end
       from instances i, (select timestamptz '2027-02-01Z' + $4 * interval '1 day') as at (t) where i.id = $2`,
      [backupId(number), number === 4 ? other : mine, number === 3 ? 'none' : 'proven', number],
    );
  }
  await database.query(
    `insert into audit (actor, action, instance_id) values ('user:a', 'stop.requested', $1), ('user:b', 'start.requested', $2),
       ('urn:odoo-fleet', 'reconcile.paused', null)`,
    [mine, other],
  );
  for (const word of ['a', 'b'])
    await database.query(
      `insert into dead_events (source, id, type, received_by, reason_code, reason, body, digest)
       values ('urn:x', $1, 'dev.odoofleet.instance.stop.requested', 'stop', 'invalid-event', 'It is wrong.', '{}', $2)`,
      [`e-${word}`, createHash('sha256').update(word).digest()],
    );
});

describe('backups', () => {
  it('say which of them was proven last, and nothing of keys and places', async () => {
    const { body, text } = await api().ask('customer', 'GET', '/v1/backups?total=true');
    const seen = body.items.map(({ id, isLastProven }: { id: string; isLastProven: boolean }) => [id, isLastProven]);
    expect([seen, body.total]).toEqual([
      [
        [backupId(3), false],
        [backupId(2), true],
        [backupId(1), false],
      ],
      3,
    ]);
    expect(text).not.toMatch(/wrapped-key|place/);
    expect((await api().ask('support', 'GET', '/v1/backups?proof=none')).body.items).toMatchObject([
      { id: backupId(3) },
    ]);
  });

  it('of others are as if there were none', async () => {
    expect((await api().ask('customer', 'GET', `/v1/backups/${backupId(1)}`)).status).toBe(200);
    expect((await api().ask('customer', 'GET', `/v1/backups/${backupId(4)}`)).status).toBe(404);
    expect((await api().ask('customer', 'GET', `/v1/backups?instance=${other}`)).body.items).toEqual([]);
    expect((await api().ask('admin', 'GET', `/v1/backups/${backupId(4)}`)).body.isLastProven).toBe(true);
  });

  it('that are newest show at their instance', async () => {
    const { body } = await api().ask('customer', 'GET', `/v1/instances/${mine}`);
    expect(body.backups).toMatchObject({ last: { id: backupId(3) }, lastProven: { id: backupId(2) } });
  });
});

describe('database servers', () => {
  it('are for the platform only, and show no password and no name of one', async () => {
    expect(await api().ask('customer', 'GET', '/v1/db-servers')).toMatchObject({
      status: 403,
      body: { code: 'forbidden', errors: [{ field: 'header.authorization' }] },
    });
    const { body, text } = await api().ask('support', 'GET', '/v1/db-servers');
    expect(body.items).toMatchObject([{ id: 'pg-1', instances: 0, maxInstances: 10 }]);
    expect(text).not.toMatch(/fleet_admin|secret/);
    expect((await api().ask('admin', 'GET', '/v1/db-servers/pg-1')).body.host).toBe('db.example');
    expect((await api().ask('admin', 'GET', '/v1/db-servers/pg-2')).status).toBe(404);
  });
});

describe('the audit', () => {
  it("shows a customer what was done to his own instances, and not the platform's affairs", async () => {
    const own = await api().ask('customer', 'GET', '/v1/audit');
    expect(own.body.items).toMatchObject([{ actor: 'user:a', action: 'stop.requested', instanceId: mine }]);
    expect((await api().ask('admin', 'GET', '/v1/audit?total=true')).body.total).toBe(3);
    expect((await api().ask('admin', 'GET', '/v1/audit?actor=user:b')).body.items).toHaveLength(1);
    expect((await api().ask('admin', 'GET', '/v1/audit?since=yesterday')).body.errors[0].field).toBe('query.since');
  });
});

describe('dead events', () => {
  it('are listed without their bodies, and shown with them', async () => {
    const { body } = await api().ask('support', 'GET', '/v1/dead-events?state=waiting&sort=receivedAt');
    expect(body.items).toMatchObject([{ id: 'e-a', bodyBytes: 2 }, { id: 'e-b' }]);
    const one = await api().ask('support', 'GET', `/v1/dead-events/${body.items[0].sequence}`);
    expect(Buffer.from(one.body.bodyBase64, 'base64').toString()).toBe('{}');
    expect((await api().ask('customer', 'GET', '/v1/dead-events')).status).toBe(403);
  });

  it('are sent to their function again, or given up, by an admin alone; the audit says who', async () => {
    const { body } = await api().ask('admin', 'GET', '/v1/dead-events?sort=receivedAt');
    const [first, second] = body.items;
    expect((await api().ask('support', 'POST', `/v1/dead-events/${first.sequence}/replay`)).status).toBe(403);
    const replayed = await api().ask('admin', 'POST', `/v1/dead-events/${first.sequence}/replay`);
    expect(replayed).toMatchObject({ status: 200, body: { fate: 'sent', detail: 'its function has taken it' } });
    expect(sent).toEqual(['http://127.0.0.1:9/stop']);
    expect((await api().ask('admin', 'POST', `/v1/dead-events/${second.sequence}/discard`)).body.fate).toBe(
      'discarded',
    );
    expect((await api().ask('admin', 'GET', '/v1/dead-events?state=waiting')).body.items).toEqual([]);
    const audit = await api().ask('admin', 'GET', '/v1/audit?actor=user:test-admin');
    expect(audit.body.items).toMatchObject([{ action: 'dead-event.resolved' }, { action: 'dead-event.replayed' }]);
    expect((await api().ask('admin', 'POST', '/v1/dead-events/999999/replay')).status).toBe(404);
  });
});

describe('health', () => {
  it('is told to anybody, with the pool, Redis and what waits for the broker', async () => {
    const { status, body } = await api().ask('nobody', 'GET', '/v1/health');
    expect([status, body]).toMatchObject([
      200,
      {
        status: 'healthy',
        database: { isReachable: true, pool: { max: 5 } },
        redis: { isReachable: true },
        outbox: { waiting: 0, oldestSeconds: 0 },
      },
    ]);
  });
});
