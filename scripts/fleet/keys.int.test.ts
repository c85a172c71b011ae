import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import {
  clearBackups,
  endHeld,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import { type KeyRing, ringKeyWrapper, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { seal } from '#shared/domain/backup/manifest-seal.ts';
import { platformBackupId, platformKeyContext, platformKeys } from '#shared/domain/platform/backup.ts';
import type { BackupKeyRing } from '#shared/runtime/backup-keys.ts';
import { uploadArchive } from '#shared/runtime/upload-archive.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue, insertServer, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { keyStatus, rewrapKeys } from './keys.ts';

const records = platformOfThisFile(databaseOfThisFile());
const keys = new Map([
  ['k1', randomBytes(32)],
  ['k2', randomBytes(32)],
]);

function ringOf(current: string, ids = [...keys.keys()]): BackupKeyRing {
  const ring = (): KeyRing => ({
    current,
    keys: new Map(ids.map((id) => [id, keys.get(id) ?? Buffer.alloc(0)])),
  });
  return {
    wrapper: ringKeyWrapper(ring),
    signer: ringSigner(ring),
    ids: () => ({ current, all: ids }),
  };
}

let folder: string;
const statusOf = (ring: BackupKeyRing) => keyStatus(records(), ring, openDirectoryStore(folder));

const filesKey = randomBytes(32);
let instanceId: string;
let backupId: string;
beforeAll(async () => {
  await insertCatalogue(records());
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-keys-'));
  await clearBackups(records());
  await insertServer(records(), { id: 'one', maxInstances: 10 });
  instanceId = await insertPlacedInstance(records(), 1);
  backupId = await insertBackup(records(), instanceId);
  await wrapAllBy(ringOf('k1', ['k1']));
  return () => rm(folder, { recursive: true });
});

async function wrapAllBy({ wrapper }: BackupKeyRing): Promise<void> {
  const context = { instanceId, backupId };
  await records().query('delete from instance_keys');
  await records().query('insert into instance_keys (instance_id, files_key) values ($1, $2)', [
    instanceId,
    await wrapper.wrap(filesKey, { purpose: 'files', instanceId }),
  ]);
  await records().query('update backups set dump_key = $2 where id = $1', [
    backupId,
    await wrapper.wrap(randomBytes(32), { purpose: 'dump', ...context }),
  ]);
}

test('a key goes out of use by a rewrap and by retention, and then the ring can do without it', async () => {
  const ring = ringOf('k2');
  expect((await statusOf(ring)).lines).toEqual([
    'k1  needed for files of 1 instance: run "keys rewrap"; 1 backup, until retention removes what it opens',
    'k2  current: files of 0 instances, 0 backups',
  ]);
  await expect(statusOf(ringOf('k2', ['k2']))).rejects.toMatchObject({ code: 'misconfigured' });

  const said: string[] = [];
  const done = await rewrapKeys(records(), ring, (line) => void said.push(line));
  expect(done.json).toEqual({ current: 'k2', rewrapped: 1 });
  expect(said).toEqual(['1 instance looked at, 1 rewrapped']);
  expect((await rewrapKeys(records(), ring, () => undefined)).json).toEqual({ current: 'k2', rewrapped: 0 });
  expect((await statusOf(ring)).lines).toEqual([
    'k1  needed for 1 backup, until retention removes what it opens',
    'k2  current: files of 1 instance, 0 backups',
  ]);

  await records().query(
    `update backups set state = 'deleted', dump_key = null, deleted_at = now(), delete_reason = 'retention' where id = $1`,
    [backupId],
  );
  // Of one that was made between the change of the ring and the rewrap, the manifest still holds a key that the old one wraps.
  const between = await insertBackup(records(), instanceId);
  await records().query(
    `update backups set dump_key = 'w1.k2.x', summary = summary || '{"ringKeys": ["k1", "k2"]}' where id = $1`,
    [between],
  );
  expect((await statusOf(ring)).lines).toEqual([
    'k1  needed for 1 backup, until retention removes what it opens',
    'k2  current: files of 1 instance, 1 backup',
  ]);
  await records().query(
    `update backups set state = 'deleted', dump_key = null, deleted_at = now(), delete_reason = 'retention' where id = $1`,
    [between],
  );
  const { rows } = await records().query<{ files_key: string }>('select files_key from instance_keys');
  const opened = await ringOf('k2', ['k2']).wrapper.unwrap(rows[0]?.files_key ?? '', { purpose: 'files', instanceId });
  expect(opened.equals(filesKey)).toBe(true);
  expect((await statusOf(ring)).lines[0]).toBe('k1  not needed any more: it can be taken out of the ring');
});

/** Of one key, what it is needed for. */
async function usesOf(keyId: string, ring = ringOf('k2')): Promise<Record<string, unknown>> {
  const { keys: all } = (await statusOf(ring)).json as { keys: Record<string, unknown>[] };
  const { keyId: _id, isCurrent: _current, ...uses } = all.find((key) => key['keyId'] === keyId) ?? {};
  return Object.fromEntries(Object.entries(uses).filter(([, count]) => count !== 0));
}

test('whatever else a key wraps or has signed keeps it in the ring, until that is over', async () => {
  await wrapAllBy(ringOf('k2'));
  expect(await usesOf('k1')).toEqual({});
  const held = await holdOperation(records(), instanceId, 'stop');
  const load = `insert into loads (id, instance_id, server_id, round, job_key, state) values ($1, $2, 'one', 1, 'w1.k1.x', 'running')`;
  await records().query(load, [held.id, instanceId]);
  const restore = `insert into restores (id, instance_id, server_id, backup_id, round, job_key, state)
    values ($1, $2, 'one', $3, 1, 'w1.k1.x', 'running')`;
  await records().query(restore, [held.id, instanceId, backupId]);
  expect(await usesOf('k1')).toEqual({ operations: 1 });
  await endHeld(records(), held.id, 'failed');
  expect((await statusOf(ringOf('k2'))).lines[0]).toBe(
    'k1  needed for 1 operation, until they end; cancel or retry what has failed',
  );
  // nobody goes on with one that something else came after
  await endHeld(records(), (await holdOperation(records(), instanceId, 'stop')).id);
  expect(await usesOf('k1')).toEqual({});

  const archive = `insert into exports (id, instance_id, backup_id, state, round, archive_key) values ($1, $2, $3, 'running', 1, 'w1.k1.x')`;
  await records().query(archive, [held.id, instanceId, backupId]);
  expect(await usesOf('k1')).toEqual({ exports: 1 });
  await records().query('delete from exports');
});

test('what lies in the store keeps a key in the ring, too: uploads, and backups of the platform by all keys they hold', async () => {
  const store = openDirectoryStore(folder);
  await wrapAllBy(ringOf('k2'));
  const archive = { instanceId: testInstanceId(7), name: 'a.zip', bytes: Readable.from([Buffer.from('zip')]) };
  const { key } = await uploadArchive(store, archive, ringOf('k1'));
  expect(await usesOf('k1')).toEqual({ uploads: 1 });
  await store.remove(`${key}.about`);

  const id = platformBackupId(new Date(), '00000000');
  const wrappedKey = await ringOf('k2').wrapper.wrap(randomBytes(32), platformKeyContext(id));
  const manifest = { id, wrappedKey, ringKeys: ['k1', 'k2'] };
  await store.put(platformKeys(id).manifest, seal(manifest, 'platform-manifest', ringOf('k2').signer));
  expect(await usesOf('k1')).toEqual({ platformBackups: 1 });
  expect((await statusOf(ringOf('k2'))).lines).toEqual([
    'k1  needed for 1 platform backup, until retention removes what it opens',
    'k2  current: files of 1 instance, 1 backup, 1 platform backup',
  ]);
  await expect(statusOf(ringOf('k2', ['k2']))).rejects.toThrow('no key k1, which 1 platform backup cannot be opened');

  await store.put(platformKeys(id).manifest, Buffer.from('x'));
  const status = await statusOf(ringOf('k2'));
  expect(status.lines[0]).toBe('k1  not needed for anything that was looked at');
  expect(status.lines.at(-1)).toBe(`${platformKeys(id).manifest} cannot be read: what it needs is not counted`);
  await store.remove(platformKeys(id).manifest);
  const blind = await keyStatus(records(), ringOf('k2'), undefined);
  expect(blind.lines[0]).toBe('k1  not needed for anything that was looked at');
});

test('a deletion certificate is checked with the key that signed it, for ever', async () => {
  await wrapAllBy(ringOf('k2'));
  const detail = { sha256: 'x', certificate: { keyId: 'k1', signature: 'x', body: {} } };
  await records().query(
    `insert into audit (actor, action, instance_id, detail) values ('purge', 'purge.certified', $1, $2),
       ('purge', 'purge.certified', $1, '{"certificate": {"body": {}}}')`,
    [instanceId, JSON.stringify(detail)],
  );
  expect((await statusOf(ringOf('k2'))).lines[0]).toBe(
    'k1  opens nothing any more; 1 deletion certificate signed with it cannot be checked without it',
  );
  // whoever takes it out all the same is told what it costs, and can do the rest
  expect((await statusOf(ringOf('k2', ['k2']))).lines[0]).toBe(
    'k1  not in the ring: 1 deletion certificate signed with it cannot be checked',
  );
});
