import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import {
  beginAfresh,
  insertBackup,
  insertPlacedInstance,
  takeOver,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import { operationRecords } from '#shared/adapters/postgres/operation-records.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { insertEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { oldSideName } from '#shared/domain/backup/load-names.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import type { ClusterHoldings, ServerHoldings } from '#shared/domain/platform/world.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type Rebuilt, rebuild } from './rebuild.ts';

const records = platformOfThisFile(databaseOfThisFile());
const snapshotAt = new Date();
let folder: string;
let store: ObjectStore;
let instanceId: string;

beforeAll(async () => {
  await insertCatalogue(records());
});
beforeEach(async () => {
  await beginAfresh(records());
  instanceId = await insertPlacedInstance(records(), 1);
  folder = await mkdtemp(join(tmpdir(), 'fleet-rebuild-'));
  store = openDirectoryStore(folder);
  return () => rm(folder, { recursive: true });
});

const running: ClusterHoldings = {
  fence: 3,
  deployment: { replicas: 1, restartedBy: null },
  ingress: undefined,
  hasVolume: true,
  record: undefined,
  databaseServer: undefined,
};

/** A rebuild in a world where the instance is as its row says, unless stated. */
async function rebuilt(
  changes: {
    cluster?: Partial<ClusterHoldings>;
    server?: Partial<ServerHoldings>;
    forgetsMissing?: boolean;
    isAway?: boolean;
  } = {},
): Promise<Rebuilt> {
  const [row] = (await records().query<{ host: string }>('select host from instances where id = $1', [instanceId]))
    .rows;
  const cluster = { ...running, ingress: { host: row?.host ?? '', suspendedFor: undefined }, ...changes.cluster };
  const server = async (): Promise<ServerHoldings> => {
    if (changes.isAway === true) throw new Error('the server does not answer');
    return {
      serverId: 'one',
      fences: new Map([[instanceId, 41]]),
      live: new Set([instanceId]),
      aside: new Set(),
      oldSides: [],
      ...changes.server,
    };
  };
  const signer = hmacSigner('k1', Buffer.alloc(32));
  const refuse = async () => Promise.reject(new Error('no key is needed'));
  const keys = { signer, wrapper: { wrap: refuse, unwrap: refuse, rewrap: refuse } };
  const world = { cluster: async () => new Map([[instanceId, cluster]]), server, store, keys };
  const options = { snapshotAt, clusterId: 'default', forgetsMissing: changes.forgetsMissing ?? false };
  return await records().transaction((transaction) => rebuild(transaction, world, options));
}

const stateOf = async (table: 'backups' | 'operations' | 'restores' | 'loads', id: string) =>
  (await records().query<{ state: string }>(`select state from ${table} where id = $1`, [id])).rows[0]?.state;

describe('a rebuild', () => {
  test('gives the next holder a fence above what any store has seen, with room for those that showed none', async () => {
    await rebuilt();
    const id = newOperationId();
    const common = { id, instanceId, kind: 'stop', definitionVersion: 1, deadlineMs: 60_000 } as const;
    await insertOperation(records(), { ...common, idempotencyKey: id, requestedBy: 'x', cause: 'x', request: {} });
    expect((await takeOver(records(), { id, kind: 'stop' })).fence).toBe(1_000_042);
  });

  test('tells of a database server that was added since, and does not open the records without it', async () => {
    const [known] = (await records().query<{ host: string; port: number }>('select host, port from db_servers')).rows;
    expect((await rebuilt({ cluster: { databaseServer: known } })).reports).toEqual([]);
    const { reports } = await rebuilt({ cluster: { databaseServer: { host: '10.9.9.9', port: 5433 } } });
    expect(reports).toEqual([
      `Database server 10.9.9.9:5433 has no row in db_servers, and odoo.conf of 1 instances names it (${instanceId}): it was not read. Add it, and rebuild again.`,
    ]);
  });

  test('tells of a cluster that it was not given', async () => {
    await records().query(`insert into clusters (id, base_domain) values ('other', 'other.example')`);
    await records().query(`update instances set cluster_id = 'other' where id = $1`, [instanceId]);
    expect((await rebuilt()).reports).toContain(
      'Cluster other was not read: its 1 instances were left as the backup has them. Look at it.',
    );
    await records().query(`update instances set cluster_id = 'default' where id = $1`, [instanceId]);
    await records().query(`delete from clusters where id = 'other'`);
  });

  test('changes nothing when a place cannot be read', async () => {
    await expect(rebuilt({ isAway: true })).rejects.toThrow('the server does not answer');
    const { rows } = await records().query('select fence_floor from instances where fence_floor > 0');
    expect(rows).toEqual([]);
  });

  test('refuses a store that has nothing of what the records know', async () => {
    const backup = await insertBackup(records(), instanceId);
    await expect(rebuilt({ forgetsMissing: true })).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('names another place'),
    });
    expect(await stateOf('backups', backup)).toBe('succeeded');
  });

  test('forgets a backup that is not in the store only when that is said, and never a locked one', async () => {
    const [kept, lost, locked] = [
      await insertBackup(records(), instanceId),
      await insertBackup(records(), instanceId),
      await insertBackup(records(), instanceId),
    ];
    await records().query(`update backups set locked_until = now() + interval '1 day' where id = $1`, [locked]);
    await store.put(`backups/${instanceId}/${kept}/manifest`, Buffer.from('it is known'));
    const first = await rebuilt();
    expect(first.reports).toEqual([expect.stringContaining(`1 backups have no manifest in the store (${lost})`)]);
    expect(await stateOf('backups', lost)).toBe('succeeded');
    const second = await rebuilt({ forgetsMissing: true });
    expect(second.reports).toEqual([]);
    expect([await stateOf('backups', kept), await stateOf('backups', lost), await stateOf('backups', locked)]).toEqual([
      'succeeded',
      'deleted',
      'succeeded',
    ]);
  });

  test('leaves a manifest out that none of us has signed, and tells of it', async () => {
    const key = `backups/${instanceId}/${randomUUID()}/manifest`;
    await store.put(key, Buffer.from('{}'));
    const { reports, backups } = await rebuilt();
    expect(backups.entered).toEqual([]);
    expect(reports).toEqual([expect.stringContaining(`The manifest ${key} was left out`)]);
  });

  test('ends a restore that was under way with all it holds, but not one that has exchanged the database', async () => {
    const other = await insertPlacedInstance(records(), 2);
    const third = await insertPlacedInstance(records(), 3);
    const backup = await insertBackup(records(), instanceId);
    await store.put(`backups/${instanceId}/${backup}/manifest`, Buffer.from('it is known'));
    const begin = async (of: string, state: 'running' | 'switched') => {
      const id = newOperationId();
      const common = { id, instanceId: of, kind: 'restore', definitionVersion: 1, deadlineMs: 60_000 } as const;
      await insertOperation(records(), { ...common, idempotencyKey: id, requestedBy: 'x', cause: 'x', request: {} });
      await records().query(
        `insert into restores (id, instance_id, server_id, backup_id, state, round, job_key, switched_at)
         values ($1, $2, 'one', $3, $4, 1, 'k', case when $4 = 'switched' then now() end)`,
        [id, of, backup, state],
      );
      await records().query(
        `insert into loads (id, instance_id, server_id, backup_id, round, job_key, state) values ($1, $2, 'one', $3, 1, 'k', 'running')`,
        [id, of, backup],
      );
      return id;
    };
    const [early, late, unseen] = [
      await begin(instanceId, 'running'),
      await begin(other, 'switched'),
      await begin(third, 'running'),
    ];
    const name = oldSideName({ instanceId: third, operationId: unseen });
    const { waiting, reports } = await rebuilt({
      server: { live: new Set([instanceId, other, third]), oldSides: [name] },
    });
    expect(waiting).toMatchObject({ cancelled: [{ id: early, kind: 'restore' }], exchanged: [{ id: unseen }] });
    expect([await stateOf('operations', unseen), await stateOf('restores', unseen)]).toEqual(['queued', 'switched']);
    expect(reports).toContainEqual(expect.stringContaining(`${early} of instance ${instanceId} was under way`));
    expect([
      await stateOf('operations', early),
      await stateOf('restores', early),
      await stateOf('loads', early),
    ]).toEqual(['cancelled', 'failed', 'failed']);
    expect([await stateOf('operations', late), await stateOf('restores', late)]).toEqual(['queued', 'switched']);
  });

  test('sends of what waited only what tells of something, under the id it had', async () => {
    const [told, hint] = [randomUUID(), randomUUID()];
    const event = { source: 'urn:odoo-fleet', data: {} };
    await enqueue(records(), [
      { ...event, id: told, type: 'dev.odoofleet.instance.stop.succeeded' },
      { ...event, id: hint, type: 'dev.odoofleet.operation.advance' },
    ]);
    const { waiting } = await rebuilt();
    expect(waiting).toMatchObject({ sentAgain: [{ id: told }], notSent: 1 });
    const { rows } = await records().query('select id from outbox where published_at is null');
    expect(rows).toEqual([{ id: told }]);
  });

  test('lets nobody hold what the lost world held', async () => {
    await records().query(`insert into leases (name, holder, until) values ('x', 'gone', now() + interval '1 hour')`);
    const id = newOperationId();
    const common = { id, instanceId, kind: 'stop', definitionVersion: 1, deadlineMs: 60_000 } as const;
    await insertOperation(records(), { ...common, idempotencyKey: id, requestedBy: 'x', cause: 'x', request: {} });
    const take = { kind: 'stop', knownVersions: [1], leaseMs: 600_000 };
    expect(await operationRecords(records()).take(id, { ...take, holder: 'gone' })).toMatchObject({ taken: true });
    await rebuilt();
    expect((await records().query('select name from leases')).rows).toEqual([]);
    expect(await operationRecords(records()).take(id, { ...take, holder: 'here' })).toMatchObject({ taken: true });
  });

  test('gives no number of a customer’s messages a second time', async () => {
    const id = newOperationId();
    const endpoint = { id, customerId: 'c-1', url: 'https://x.example', description: '', types: [], secret: 'wrapped' };
    await insertEndpoint(records(), endpoint, { actor: 'test' });
    await records().query('insert into webhook_sequences (endpoint_id, stream, last) values ($1, $2, 12)', [
      id,
      instanceId,
    ]);
    await rebuilt();
    const { rows } = await records().query<{ last: number }>('select last from webhook_sequences');
    expect(rows[0]?.last).toBeGreaterThan(100_000);
  });
});
