import { randomBytes } from 'node:crypto';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { Trace } from '#shared/domain/backup/deletion-certificate.ts';
import { openCertificate } from '#shared/domain/backup/deletion-certificate.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import { exampleOperation } from '#shared/testing/examples.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { clearBackups, holdOperation, insertBackup, insertPlacedInstance } from './backup-records.fixture.ts';
import type { Database } from './database.ts';
import { certifyDeletion, listCertificates, purgeFindings } from './deletion-records.ts';

const platform = platformOfThisFile();
const signer = hmacSigner('k1', randomBytes(32));
const found: Trace[] = [{ kind: 'database', name: 'tombstone_x', where: 'one', bytes: 2 ** 40 }];
let database: Database;
let instanceId: string;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await clearBackups(database);
  await insertServer(database, { id: 'one', maxInstances: 50 });
  instanceId = await insertPlacedInstance(database, 1);
  await database.query(`update instances set terminated_at = now() - interval '1 hour', status = 'terminated',
    desired_state = 'terminated', purge_after = now(), desired_before = 'running'`);
});

async function certify(id: string) {
  const operation = exampleOperation({ id, instanceId, kind: 'purge', request: { withoutbackup: true } });
  await database.transaction((transaction) => certifyDeletion(transaction, operation, signer));
}

test('a certificate tells what the purge found first and which backups stay, and can be checked', async () => {
  const locked = new Date(Date.now() + 200 * 86_400_000);
  const backup = await insertBackup(database, instanceId, { kind: 'final' });
  await database.query(`update backups set locked_until = $2, proof = 'proven', proof_at = now() where id = $1`, [
    backup,
    locked,
  ]);
  const operation = await holdOperation(database, instanceId, 'stop');
  const findings = purgeFindings(database);
  expect(await findings.has(operation.id)).toBe(false);
  await findings.write(operation, instanceId, found);
  await findings.write(operation, instanceId, []);
  expect(await findings.has(operation.id)).toBe(true);
  await certify(operation.id);

  const [entry, ...more] = await listCertificates(database, instanceId);
  expect(more).toEqual([]);
  expect(entry).toMatchObject({ operationId: operation.id, copiesUntil: locked.toISOString() });
  const opened = openCertificate(entry?.kept ?? {}, signer);
  expect(opened).toMatchObject({ signature: 'right', sha256: entry?.sha256 });
  expect(opened.certificate).toMatchObject({
    ...{ instance: instanceId, removed: found, finalBackup: backup, withoutBackup: true },
    backups: [{ id: backup, lockedUntil: locked.toISOString() }],
  });
});

test('what was found before the termination is none of its business', async () => {
  const operation = await holdOperation(database, instanceId, 'stop');
  await purgeFindings(database).write(operation, instanceId, found);
  await database.query('update instances set terminated_at = clock_timestamp()');
  await certify(operation.id);
  const [entry] = await listCertificates(database, instanceId);
  expect(openCertificate(entry?.kept ?? {}, signer).certificate).toMatchObject({ removed: [], beganAt: null });
});

test('what is left elsewhere is told: exports, an archive, results of restores under the store’s lock, living copies', async () => {
  const backup = await insertBackup(database, instanceId);
  await database.query(
    `update backups set locked_until = clock_timestamp() + interval '9 days', started_at = clock_timestamp() - interval '1 day'`,
  );
  const restore = await holdOperation(database, instanceId, 'restore');
  await database.query(
    `insert into restores (id, instance_id, server_id, backup_id, state, round, job_key, started_at, finished_at, error_code,
       error_text)
     select $1, i.id, i.db_server_id, $3, 'failed', 1, 'k', now() - interval '5 days', now() - interval '4 days', 'x', 'x'
     from instances i where id = $2`,
    [restore.id, instanceId, backup],
  );
  await database.query(
    `insert into exports (id, instance_id, backup_id, state, round, finished_at, error_code, error_text)
     values ($1, $2, $3, 'deleting', 1, now(), 'x', 'x')`,
    [restore.id, instanceId, backup],
  );
  await database.query(`update operations set kind = 'import', created_at = now() - interval '8 days'`);
  const copy = await insertPlacedInstance(database, 2);
  const copyOfCopy = await insertPlacedInstance(database, 3);
  const purged = await insertPlacedInstance(database, 4);
  await database.query(
    `update instances set cloned_from = case id when $1 then $2 else $3 end where id = any(array[$1, $4, $5])`,
    [copyOfCopy, copy, instanceId, copy, purged],
  );
  await database.query(
    `update instances set purged_at = now(), host = null, status = 'terminated',
    desired_state = 'terminated' where id = $1`,
    [purged],
  );
  await certify(restore.id);
  const [entry] = await listCertificates(database, instanceId);
  const { certificate } = openCertificate(entry?.kept ?? {}, signer);
  expect(certificate.liveCopies.map(({ instance }) => instance)).toEqual([copy, copyOfCopy].toSorted());
  expect(certificate.exports).toEqual([{ id: restore.id, state: 'deleting' }]);
  // ten days from when it was written
  const daysLeft = (at: string | null) => Math.round((Date.parse(at ?? '') - Date.now()) / 86_400_000);
  expect([certificate.uploadsUntil, certificate.jobResultsUntil].map(daysLeft)).toEqual([2, 6]);
  expect(daysLeft(certificate.copiesUntil)).toBe(9);
});

test('whoever lost the operation writes nothing', async () => {
  const operation = await holdOperation(database, instanceId, 'stop');
  const older = { id: operation.id, fence: operation.fence - 1 };
  await expect(purgeFindings(database).write(older, instanceId, found)).rejects.toMatchObject({ code: 'fenced' });
});

test('nobody changes a certificate', async () => {
  const operation = await holdOperation(database, instanceId, 'stop');
  await certify(operation.id);
  await expect(database.query('update audit set detail = $1', ['{}'])).rejects.toThrow();
  await expect(database.query('delete from audit')).rejects.toThrow();
});
