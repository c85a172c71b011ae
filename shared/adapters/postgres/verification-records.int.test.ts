import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { endAbandoned, endUnfinished } from './backup-ends.ts';
import {
  clearBackups,
  endHeld,
  type HeldOperation,
  holdOperation,
  insertBackup,
  insertPlacedInstance,
  takeOver,
} from './backup-records.fixture.ts';
import { backupRecords } from './backup-records.ts';
import type { Database } from './database.ts';
import { verificationRecords } from './verification-records.ts';

const platform = platformOfThisFile();
let database: Database;
let records: ReturnType<typeof verificationRecords>;
beforeAll(async () => {
  database = platform();
  records = verificationRecords(database);
  await insertCatalogue(database);
});
let instanceId: string;
beforeEach(async () => {
  await clearBackups(database);
  await insertServer(database, { id: 'one', maxInstances: 50 });
  await insertServer(database, { id: 'verify', maxInstances: 50 });
  await database.query(`update db_servers set purpose = 'verification' where id = 'verify'`);
  instanceId = await insertPlacedInstance(database, 1);
});

const verify = () => holdOperation(database, instanceId, 'verify');
const begin = (operation: HeldOperation, backupId: string | null = null) =>
  records.begin(operation, { instanceId, backupId });
const good = { round: 1, odooBooted: false, differences: [] };
const proofOf = async (backupId: string) => (await backupRecords(database).read(backupId))?.proof;

describe('a verification', () => {
  test('says what came of starting Odoo; where it failed the backup stays proven, and another look begins anew', async () => {
    const backup = await insertBackup(database, instanceId);
    const operation = await verify();
    await begin(operation);
    await records.noteBoot(operation, { round: 1, boot: 'wanted' });
    await records.noteBoot(operation, { round: 1, boot: 'booted' });
    await records.finish(operation, { ...good, odooBooted: true });
    expect(await proofOf(backup)).toMatchObject({ state: 'proven', odooBooted: true, text: null });
    await expect(records.noteBoot(operation, { round: 1, boot: 'failed' })).rejects.toMatchObject({ code: 'conflict' });
    await endHeld(database, operation.id);

    const later = await verify();
    await begin(later);
    await records.noteBoot(later, { round: 1, boot: 'failed', text: '/web/login answers 500' });
    await records.finish(later, good);
    const text = 'Odoo did not run on it: /web/login answers 500';
    expect(await proofOf(backup)).toMatchObject({ state: 'proven', odooBooted: false, text });
    const again = await begin(later);
    expect(again.verification).toMatchObject({ state: 'running', round: 2, boot: null, bootText: null });
  });

  test('is of the newest backup, on a server for verifications, the same for every call', async () => {
    await insertBackup(database, instanceId, { daysAgo: 2 });
    const newest = await insertBackup(database, instanceId, { daysAgo: 1 });
    const operation = await verify();
    const begun = await begin(operation);
    expect(begun).toMatchObject({
      verification: { id: operation.id, state: 'running', round: 1, backupId: newest, serverId: 'verify' },
      backup: { id: newest, dumpKey: `dump ${newest}` },
      server: { id: 'verify', secretKey: 'verify' },
      filesKey: 'files',
    });
    await insertBackup(database, (await insertPlacedInstance(database, 2)) as string);
    expect(await begin(operation)).toEqual(begun);
  });

  test('of what is not there, not whole, given up, or another instance’s is refused', async () => {
    const operation = await verify();
    await expect(begin(operation)).rejects.toMatchObject({ code: 'not-found' });
    const others = await insertBackup(database, await insertPlacedInstance(database, 2));
    await expect(begin(operation, others)).rejects.toMatchObject({ code: 'not-found' });
    await endHeld(database, operation.id);
    const givenUp = await insertBackup(database, instanceId);
    const later = await verify();
    await database.query(`update backups set state = 'deleting', delete_reason = 'x' where id = $1`, [givenUp]);
    await expect(begin(later, givenUp)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('waits for a slot, and says that a server for it is missing', async () => {
    await insertBackup(database, instanceId);
    const operation = await verify();
    await database.query(`update db_servers set reached_at = null where id = 'verify'`);
    await expect(begin(operation)).rejects.toThrow(/purpose 'verification' was reached/);
    await database.query(`update db_servers set reached_at = now(), backup_slots = 0 where id = 'verify'`);
    await expect(begin(operation)).rejects.toMatchObject({ code: 'no-capacity' });
    await insertServer(database, { id: 'verify-2', maxInstances: 1 });
    await database.query(`update db_servers set purpose = 'verification' where id = 'verify-2'`);
    expect((await begin(operation)).server.id).toBe('verify-2');
  });

  test('without a difference proves the backup', async () => {
    const backupId = await insertBackup(database, instanceId);
    const operation = await verify();
    await begin(operation);
    const ended = await records.finish(operation, { ...good, odooBooted: true });
    expect(ended).toMatchObject({ state: 'proven', odooBooted: true, differences: [] });
    expect(await records.finish(operation, { ...good, odooBooted: true })).toEqual(ended);
    expect(await proofOf(backupId)).toMatchObject({ state: 'proven', by: operation.id, odooBooted: true, text: null });
    expect((await backupRecords(database).newestProven(instanceId))?.id).toBe(backupId);
    expect((await begin(operation)).verification).toEqual(ended);
  });

  test('with one refutes it, and says what differs', async () => {
    const backupId = await insertBackup(database, instanceId);
    const operation = await verify();
    await begin(operation);
    const differences = ['res_partner has 4 rows, not 5', 'a file is\nmissing'];
    await records.finish(operation, { ...good, differences });
    expect(await records.read(operation.id)).toMatchObject({
      state: 'refuted',
      differences: ['res_partner has 4 rows, not 5', 'a file is missing'],
    });
    expect(await proofOf(backupId)).toMatchObject({
      state: 'refuted',
      text: 'res_partner has 4 rows, not 5; a file is missing',
    });
    // asked again, it looks again
    expect((await begin(operation)).verification).toMatchObject({ state: 'running', round: 2, differences: [] });
    await records.finish(operation, { ...good, round: 2 });
    expect(await proofOf(backupId)).toMatchObject({ state: 'proven', text: null });
  });

  test('that could not tell leaves the proof as it was, and begins again in the next round', async () => {
    const backupId = await insertBackup(database, instanceId);
    const first = await verify();
    await begin(first);
    await records.finish(first, good);
    await endHeld(database, first.id);
    const second = await verify();
    await begin(second);
    await endUnfinished(database, second.id, new Failure('unavailable', 'the store is away'));
    expect(await records.read(second.id)).toMatchObject({ state: 'failed', error: { code: 'unavailable' } });
    expect(await proofOf(backupId)).toMatchObject({ state: 'proven', by: first.id });
    expect((await begin(second)).verification).toMatchObject({ round: 2, backupId, error: null });
  });

  test('cannot be ended by an old holder, or in a round that was given up', async () => {
    const backupId = await insertBackup(database, instanceId);
    const operation = await verify();
    await begin(operation);
    expect((await records.another(operation, { round: 1 })).verification.round).toBe(2);
    expect((await records.another(operation, { round: 1 })).verification.round).toBe(2);
    await expect(records.finish(operation, good)).rejects.toMatchObject({ code: 'conflict' });
    await takeOver(database, { id: operation.id, kind: 'verify' });
    await expect(records.finish(operation, { ...good, round: 2 })).rejects.toMatchObject({ code: 'fenced' });
    expect(await proofOf(backupId)).toMatchObject({ state: 'none' });
  });

  test('that its operation left running ends with it', async () => {
    await insertBackup(database, instanceId);
    const operation = await verify();
    await begin(operation);
    await endHeld(database, operation.id, 'failed');
    expect(await endAbandoned(database, { limit: 1 })).toBe(1);
    expect((await records.read(operation.id))?.state).toBe('failed');
  });
});
