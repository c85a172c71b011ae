import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { listCertificates } from '#shared/adapters/postgres/deletion-records.ts';
import { openCertificate } from '#shared/domain/backup/deletion-certificate.ts';
import { parseKeyRing, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import { atRest } from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { carryOut, lifeRequest, operationsOf, outcomeOf, runningInstance } from '#shared/testing/life.ts';

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  hasVerificationServer: true,
  schedulesBackups: true,
});

/** The minute between two goes of the schedule is over. */
const hurry = () => fleet().rows(`delete from leases where name like 'backup-%' returning name`);

type Seen = { id: string; kind: string; state: string; proof: string };
const backupsOf = (instanceId: string) =>
  fleet().rows<Seen>('select id, kind, state, proof from backups where instance_id = $1 order by id', [instanceId]);

/** Ticks go by until the instance's newest backup is of this kind and proven. */
async function untilProven(instanceId: string, kind: string): Promise<Seen> {
  const isThere = async () => {
    await hurry();
    const last = (await backupsOf(instanceId)).at(-1);
    return last?.kind === kind && last.proof === 'proven' ? last : undefined;
  };
  const seen = await until(`a proven ${kind} backup`, isThere, { timeoutMs: 120_000 }).catch(async (cause: unknown) => {
    throw new Error(JSON.stringify([await backupsOf(instanceId), await operationsOf(fleet(), instanceId)]), { cause });
  });
  // its verification says so before it ends
  await atRest(fleet(), instanceId);
  return seen as Seen;
}

/** The certificate tells what is gone, by what proof, and what stays until when; its signature is of the fleet's ring. */
async function expectCertified(instanceId: string, finalBackup: string): Promise<void> {
  const ring = parseKeyRing(await readFile(join(fleet().folder, 'secrets/backup-keys'), 'utf8'));
  const [entry] = await listCertificates(fleet().records, instanceId);
  const signer = ringSigner(() => ring);
  const { certificate, signature, sha256 } = openCertificate(entry?.kept ?? {}, signer);
  expect(signature).toBe('right');
  const names = certificate.removed.map(({ kind, name }) => `${kind} ${name.replaceAll(instanceId, 'ID')}`);
  expect(names.toSorted()).toEqual([
    'cluster-object volume odoo-ID',
    'credentials odoo-ID-credentials',
    'database tombstone_ID',
    'role odoo_ID',
    'role odoo_ID_owner',
  ]);
  expect(certificate).toMatchObject({ finalBackup, withoutBackup: false });
  const kept = certificate.backups.find(({ id }) => id === finalBackup);
  expect(kept).toMatchObject({ proof: 'proven', odooBooted: true, keptUntil: certificate.copiesUntil });
  const told = await fleet().rows<{ data: object }>(
    `select data from outbox where type = 'dev.odoofleet.instance.purge.succeeded' and data ->> 'instance' = $1`,
    [instanceId],
  );
  expect(told[0]?.data).toMatchObject({ certificate: sha256, copiesuntil: certificate.copiesUntil });
}

test('an instance is backed up and verified by itself, and purged after a final backup that was', {
  timeout: 300_000,
}, async () => {
  const id = await runningInstance(fleet(), 'kept');
  await hurry();
  expect(await backupsOf(id)).toEqual([]);
  // made long ago: its turn has come
  await fleet().rows(`update instances set created_at = now() - interval '3 days' where id = $1 returning id`, [id]);
  const scheduled = await untilProven(id, 'scheduled');
  expect(scheduled.state).toBe('succeeded');

  await carryOut(fleet(), 'terminate', id);
  await fleet().rows(`update instances set purge_after = now() - interval '1 second' where id = $1 returning id`, [id]);
  const early = lifeRequest('purge', id, {});
  await fleet().publish(early);
  expect(await outcomeOf(fleet(), early)).toBe('refused: backup-required');

  const final = await untilProven(id, 'final');
  await until('nothing to be at work', async () =>
    (await operationsOf(fleet(), id)).every(({ state }) => state === 'succeeded'),
  );
  expect(await carryOut(fleet(), 'purge', id, {})).toMatchObject({ purged_at: expect.any(Date) });
  await expectCertified(id, final.id);
  // the one that was no final one is given up, the proof stays
  await until('the older backup to be removed', async () => {
    await hurry();
    return (await backupsOf(id)).some((one) => one.id === scheduled.id && one.state === 'deleted');
  });
  const { keys } = await openDirectoryStore(backupFolderOf(fleet().folder)).list({ prefix: `backups/${id}/` });
  expect(new Set(keys.map((key) => key.split('/')[2]))).toEqual(new Set([final.id]));
  expect((await backupsOf(id)).at(-1)).toMatchObject({ id: final.id, state: 'succeeded', proof: 'proven' });
});
