import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, lifeRequest, outcomeOf, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { ask, ended, type HeldWorker, heldWorker, inDatabase, leftovers, said } from './backup.fixture.ts';

let worker: HeldWorker;
let fleet: TestFleet;
let end: () => Promise<void>;

beforeAll(async () => {
  worker = await heldWorker();
  ({ fleet, end } = await startTestFleet({ hasVerificationServer: true, worker: worker.image }));
  await untilWarm(fleet);
  const reached = `select 1 from db_servers where purpose = 'verification' and reached_at is not null`;
  await until('the server for verifications to be reached', async () => (await fleet.rows(reached)).length > 0);
});
afterEach(() => worker.letGo());
afterAll(async () => {
  await end?.();
  await worker?.end();
});

type BackupSeen = {
  state: string;
  kind: string;
  round: number;
  proof: string;
  odoo_booted: boolean;
  manifest_key: string | null;
};

async function backupSeen(backupId: string): Promise<BackupSeen | undefined> {
  const text = 'select state, kind, round, proof, odoo_booted, manifest_key from backups where id = $1';
  return (await fleet.rows<BackupSeen>(text, [backupId]))[0];
}

/** A backup that has succeeded, and left nothing but itself. */
async function backedUp(instanceId: string, data: Record<string, unknown> = {}): Promise<string> {
  const backup = await ask(fleet, 'backup', instanceId, data);
  expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded', error_text: null });
  expect(await leftovers(fleet, instanceId)).toEqual([]);
  return backup;
}

const fileOf = (key: string) => join(backupFolderOf(fleet.folder), key);

/** Changes one bit in the middle of a stored object. */
async function flipBit(key: string): Promise<void> {
  const file = await open(fileOf(key), 'r+');
  try {
    const { size } = await file.stat();
    const byte = Buffer.alloc(1);
    const at = Math.floor(size / 2);
    await file.read(byte, 0, 1, at);
    byte.writeUInt8(byte.readUInt8(0) ^ 1, 0);
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}

describe('a backup', () => {
  test('is made of a running instance while it is written to, and verified by restoring it', async () => {
    const id = await runningInstance(fleet, 'written');
    let isWriting = true;
    let rows = 0;
    const writing = (async () => {
      while (isWriting) {
        await inDatabase(fleet, `odoo_${id}`, `insert into res_partner (name) values ('Größe ${rows}')`);
        rows += 1;
      }
    })();
    const before = await instanceSeen(fleet, id);
    const making = backedUp(id).finally(() => {
      isWriting = false;
    });
    const [backup] = await Promise.all([making, writing]);
    expect(rows).toBeGreaterThan(5);
    expect(await instanceSeen(fleet, id)).toEqual(before);
    expect(await backupSeen(backup)).toMatchObject({ state: 'succeeded', kind: 'manual', round: 1, proof: 'none' });

    expect(await said(fleet, backup, 'dev.odoofleet.instance.backup.succeeded')).toMatchObject({
      ...{ backup, instance: id, purpose: 'manual', result: 'done', files: expect.any(Number) },
      dumpbytes: expect.any(Number),
      seconds: expect.any(Number),
    });

    const verification = await ask(fleet, 'verify', id);
    expect(await ended(fleet, verification)).toMatchObject({ state: 'succeeded', error_text: null });
    expect(await leftovers(fleet, id)).toEqual([]);
    expect(await backupSeen(backup)).toMatchObject({ proof: 'proven', odoo_booted: false });
    const booting = await ask(fleet, 'verify', id, { boot: true });
    expect(await ended(fleet, booting)).toMatchObject({ state: 'succeeded', error_text: null });
    expect(await leftovers(fleet, id)).toEqual([]);
    expect(await backupSeen(backup)).toMatchObject({ proof: 'proven', odoo_booted: true });
    expect(await instanceSeen(fleet, id)).toEqual(before);
  });

  test('is made of a stopped and of a suspended instance, which stay so', async () => {
    const id = await runningInstance(fleet, 'resting');
    await carryOut(fleet, 'stop', id);
    await backedUp(id);
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'stopped' });
    await carryOut(fleet, 'suspend', id, { cause: 'abuse' });
    const backup = await backedUp(id, { kind: 'scheduled' });
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'suspended' });
    expect(await ended(fleet, await ask(fleet, 'verify', id, { backup }))).toMatchObject({ state: 'succeeded' });
  });

  test('of what is terminated is its final one: the tombstone is opened for it, and closed', async () => {
    const id = await runningInstance(fleet, 'ending');
    await carryOut(fleet, 'terminate', id);
    await expect(ask(fleet, 'backup', id)).rejects.toThrow('refused: terminated');
    const backup = await backedUp(id, { kind: 'final' });
    expect(await backupSeen(backup)).toMatchObject({ state: 'succeeded', kind: 'final' });
    expect(await ended(fleet, await ask(fleet, 'verify', id))).toMatchObject({ state: 'succeeded', error_text: null });
    // the final one always
    expect(await backupSeen(backup)).toMatchObject({ proof: 'proven', odoo_booted: true });
    expect(await carryOut(fleet, 'undo', id)).toMatchObject({ status: 'running' });
    await pageAnswers(fleet, 'ending', 200);
  });
});

describe('a verification', () => {
  test.each([
    ['the dump was altered', 'altered', async (prefix: string) => flipBit(`${prefix}/1/dump`)],
    ['the manifest was altered', 'forged', async (prefix: string) => flipBit(`${prefix}/manifest`)],
    ['the manifest is gone', 'missing', async (prefix: string) => rm(fileOf(`${prefix}/manifest`))],
  ])('says that %s, and leaves nothing', async (_what, name, spoil) => {
    const id = await runningInstance(fleet, name);
    const backup = await backedUp(id);
    await spoil(`backups/${id}/${backup}`);
    const seen = await ended(fleet, await ask(fleet, 'verify', id, { backup }));
    expect(seen).toMatchObject({ state: 'failed', error_code: 'damaged' });
    expect(seen.error_text).toMatch(name === 'altered' ? /is not what its manifest says: .*dump/ : /manifest/);
    expect(await backupSeen(backup)).toMatchObject({ state: 'succeeded', proof: 'refuted' });
    expect(await leftovers(fleet, id)).toEqual([]);
  });

  test('of another instance’s backup, or of none, is refused as if there were none', async () => {
    const [one, other] = [await runningInstance(fleet, 'mine'), await runningInstance(fleet, 'theirs')];
    const backup = await backedUp(one);
    for (const asked of [{ backup }, { backup: randomUUID() }, {}]) {
      const event = lifeRequest('verify', other, asked);
      await fleet.publish(event);
      expect(await outcomeOf(fleet, event)).toBe('refused: not-found');
    }
  });
});

describe('a backup that is at work', () => {
  /** One whose Job runs, and is held back. */
  async function held(name: string): Promise<{ id: string; backup: string; job: string }> {
    const id = await runningInstance(fleet, name);
    await worker.hold();
    const backup = await ask(fleet, 'backup', id);
    await podOf(id);
    return { id, backup, job: `odoo-${id}-backup-${backup.slice(-8)}-1` };
  }

  async function podOf(id: string): Promise<string> {
    return await until(`a pod of ${id}'s Job`, async () => {
      const path = `/api/v1/namespaces/${tenantNamespace}/pods?labelSelector=app.kubernetes.io/name%3Dodoo-fleet-worker`;
      const { body } = await fleet.cluster.request('GET', path);
      const pods = body['items'] as unknown as { metadata: { name: string }; status: { phase: string } }[];
      const found = pods.find(({ metadata, status }) => metadata.name.includes(id) && status.phase === 'Running');
      return found?.metadata.name;
    });
  }

  test('gives way to a suspension, and nothing of it is left', async () => {
    const { id, backup } = await held('owing');
    await carryOut(fleet, 'suspend', id, { cause: 'billing' });
    expect(await ended(fleet, backup)).toMatchObject({ state: 'cancelled' });
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'suspended' });
    expect(await leftovers(fleet, id)).toEqual([]);
    expect(await backupSeen(backup)).toMatchObject({ state: 'failed', manifest_key: null });
  });

  test('ends when a person cancels it, and nothing of it is left', async () => {
    const { id, backup } = await held('doubting');
    const data = { operation: backup, instance: id, kind: 'backup', reason: 'not now' };
    const attributes = { subject: id, opkind: 'backup', operationid: backup, partitionkey: id };
    const source = 'urn:test:user-service';
    await fleet.publish({ id: randomUUID(), type: 'dev.odoofleet.operation.cancel', source, data, attributes });
    expect(await ended(fleet, backup)).toMatchObject({ state: 'cancelled' });
    expect(await leftovers(fleet, id)).toEqual([]);
  });

  test('has another Job when the first one’s pod is taken away, or the Job itself', async () => {
    const { id, backup, job } = await held('evicted');
    const pod = await podOf(id);
    await fleet.cluster.request('DELETE', `/api/v1/namespaces/${tenantNamespace}/pods/${pod}`);
    await worker.letGo();
    expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded' });
    expect(await leftovers(fleet, id)).toEqual([]);

    await worker.hold();
    const next = await ask(fleet, 'backup', id);
    await podOf(id);
    const path = `/apis/batch/v1/namespaces/${tenantNamespace}/jobs/${job.replace(backup.slice(-8), next.slice(-8))}`;
    await fleet.cluster.request('DELETE', path, { body: { propagationPolicy: 'Background' } });
    await worker.letGo();
    expect(await ended(fleet, next)).toMatchObject({ state: 'succeeded' });
    expect(await leftovers(fleet, id)).toEqual([]);
  });

  test('is taken over when its Job is gone before anybody read its result', async () => {
    const { id, backup, job } = await held('collected');
    // as if whoever is at work stood still
    const lease = `update operations set state = 'running', lease_holder = 'a test', woken = false, fence = fence + 1,
      next_check_at = lease.until, lease_until = lease.until
      from (select now() + interval '1 hour' as until) lease
      where id = $1 and state = 'waiting' and (lease_until is null or lease_until < clock_timestamp()) returning id`;
    await until('a moment in which nobody holds it', async () => (await fleet.rows(lease, [backup])).length > 0);
    await worker.letGo();
    const path = `/apis/batch/v1/namespaces/${tenantNamespace}/jobs/${job}`;
    await until('the Job to end', async () => {
      const { body } = await fleet.cluster.request('GET', path);
      return (body['status'] as { succeeded?: number } | undefined)?.succeeded === 1;
    });
    await fleet.cluster.request('DELETE', path, { body: { propagationPolicy: 'Background' } });
    await fleet.rows(`update operations set lease_until = now(), next_check_at = now() where id = $1 returning id`, [
      backup,
    ]);
    expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded' });
    expect(await backupSeen(backup)).toMatchObject({ round: 1 });
    expect(await leftovers(fleet, id)).toEqual([]);
  });

  test('fails with the worker’s own words, and a retry begins from the start', async () => {
    const id = await runningInstance(fleet, 'failing');
    await worker.fail('no-capacity: The store is full.');
    const backup = await ask(fleet, 'backup', id);
    const seen = await ended(fleet, backup);
    expect(seen).toMatchObject({ state: 'failed', step: null, error_code: 'job-failed' });
    expect(seen.error_text).toContain('The store is full.');
    expect(await leftovers(fleet, id)).toEqual([]);
    expect(await backupSeen(backup)).toMatchObject({ state: 'failed' });

    await worker.letGo();
    const data = { operation: backup, instance: id, kind: 'backup', reason: 'there is room' };
    const attributes = { subject: id, opkind: 'backup', operationid: backup, partitionkey: id };
    const source = 'urn:test:user-service';
    await fleet.publish({ id: randomUUID(), type: 'dev.odoofleet.operation.retry', source, data, attributes });
    await until('the retry to succeed', async () => (await ended(fleet, backup)).state === 'succeeded');
    expect(await backupSeen(backup)).toMatchObject({ state: 'succeeded', round: 2 });
    expect(await leftovers(fleet, id)).toEqual([]);
  });
});
