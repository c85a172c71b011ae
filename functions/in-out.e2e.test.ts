import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { exportLink } from '#shared/domain/backup/export-link.ts';
import { parseKeyRing, ringKeyWrapper, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { uploadArchive } from '#shared/runtime/upload-archive.ts';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import { startTestFleet, type TestFleet, until, untilWarm, userService } from '#shared/testing/fleet.ts';
import { carryOut, instanceSeen, runningInstance } from '#shared/testing/life.ts';
import { archiveOf, manifestJson } from '#shared/worker/odoo-archive.fixture.ts';
import { openOdooArchive } from '#shared/worker/odoo-archive.ts';
import { ask, ended, inDatabase, leftovers, said } from './backup.fixture.ts';

const newInstanceId = () => deriveInstanceId('/tests', randomUUID());

let fleet: TestFleet;
let end: () => Promise<void>;
let folder: string;
beforeAll(async () => {
  ({ fleet, end } = await startTestFleet({}));
  folder = await mkdtemp(join(tmpdir(), 'fleet-in-out-'));
  await untilWarm(fleet);
});
afterAll(async () => {
  await end?.();
  await rm(folder, { recursive: true, force: true });
});

const ring = async () => {
  const parsed = parseKeyRing(await readFile(join(fleet.folder, 'secrets/backup-keys'), 'utf8'));
  return { signer: ringSigner(() => parsed), wrapper: ringKeyWrapper(() => parsed) };
};
const store = () => openDirectoryStore(backupFolderOf(fleet.folder), { isShared: true });

async function linkTo(exportId: string): Promise<string> {
  const [row] = await fleet.rows<{ expires_at: Date }>('select expires_at from exports where id = $1', [exportId]);
  const expiresAt = new Date(row?.expires_at ?? 0);
  return exportLink({ exportId, expiresAt }, fleet.functions.url('download'), (await ring()).signer);
}

async function upload(instanceId: string, zip: Buffer): Promise<string> {
  async function* bytes(): AsyncGenerator<Buffer> {
    yield zip;
  }
  const archive = { instanceId, name: `${randomUUID()}.zip`, bytes: bytes() };
  return (await uploadArchive(store(), archive, await ring())).key;
}

/** Asks for the import of a zip as a new instance. */
async function importZip(name: string, zip: Buffer): Promise<{ id: string; operationId: string }> {
  const id = newInstanceId();
  const key = await upload(id, zip);
  const wanted = { customer: 'c-1', name, plan: 'small', owner: { email: 'owner@acme.example' } };
  return { id, operationId: await ask(fleet, 'import', id, { ...wanted, from: { kind: 'odoo-zip', key } }) };
}

const text = `select (select value from ir_config_parameter where key = 'database.uuid') as uuid,
  (select value from ir_config_parameter where key = 'web.base.url') as url,
  (select password from res_users where id = 2) as password,
  (select string_agg(name, ',' order by id) from res_partner) as partners`;
type Facts = { uuid: string; url: string; password: string; partners: string };
const factsOf = async (id: string) => (await inDatabase<Facts>(fleet, `odoo_${id}`, text))[0];

describe('in and out', () => {
  let live: string;
  let zip: Buffer;

  test('a backup is exported, downloaded by its link, and the link ends with its time', async () => {
    live = await runningInstance(fleet, 'leaving');
    await inDatabase(fleet, `odoo_${live}`, `insert into res_partner (name) values ('Größe & Söhne'), ('株式会社 🐘')`);
    await expect(ask(fleet, 'export', live)).rejects.toThrow('refused: not-found');
    const backup = await ask(fleet, 'backup', live);
    expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded' });
    const before = await instanceSeen(fleet, live);
    const made = await ask(fleet, 'export', live);
    expect(await ended(fleet, made)).toMatchObject({ state: 'succeeded', error_text: null });
    expect(await instanceSeen(fleet, live)).toEqual(before);
    const event = await said(fleet, made, 'dev.odoofleet.instance.export.succeeded');
    expect(event).toMatchObject({ backup, bytes: expect.any(Number), expiresat: expect.any(String) });
    expect(await leftovers(fleet, live)).toEqual([]);

    const link = await linkTo(made);
    const answer = await until('the download', async () => {
      const one = await fetch(link);
      return one.status !== 503 && one;
    });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/zip']);
    zip = Buffer.from(await answer.arrayBuffer());
    expect(answer.headers.get('etag')).toBe(`"${createHash('sha256').update(zip).digest('hex')}"`);
    expect(zip.length).toBe(event['bytes']);
    const file = join(folder, 'export.zip');
    await writeFile(file, zip);
    await (await openOdooArchive(file)).close();

    await fleet.rows(`update exports set expires_at = clock_timestamp() - interval '1 second' where id = $1`, [made]);
    expect((await fetch(link)).status).toBe(404);
  });

  test('the archive is imported as another instance, which keeps identity, users and data', async () => {
    const { id, operationId } = await importZip('arriving', zip);
    expect(await ended(fleet, operationId)).toMatchObject({ state: 'succeeded', error_text: null });
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'running', desired_state: 'running' });
    const [here, there] = [await factsOf(id), await factsOf(live)];
    expect(here).toMatchObject({ uuid: there?.uuid, password: there?.password, partners: there?.partners });
    expect(here?.partners).toContain('株式会社 🐘');
    expect(here?.url).toContain('://arriving.');
    expect(await leftovers(fleet, id)).toEqual([]);
    const owners = await inDatabase<{ owner: string }>(
      fleet,
      `odoo_${id}`,
      `select distinct tableowner as owner from pg_tables where schemaname = 'public'`,
    );
    expect(owners).toEqual([{ owner: `odoo_${id}` }]);
    // it is an instance as any other
    await carryOut(fleet, 'restart', id);
    expect(await ended(fleet, await ask(fleet, 'backup', id))).toMatchObject({ state: 'succeeded' });
  });

  test('an archive of another Odoo fails and says so; cancelled, nothing of it is left', async () => {
    const wrong = await archiveOf({ 'dump.sql': '', 'manifest.json': manifestJson({ major_version: '16.0' }) });
    const { id, operationId } = await importZip('older', wrong);
    expect(await ended(fleet, operationId)).toMatchObject({
      state: 'failed',
      error_text: expect.stringContaining('The archive holds Odoo 16.0; the image runs Odoo 19.0.'),
    });
    const type = 'dev.odoofleet.operation.cancel';
    const data = { operation: operationId, instance: id, kind: 'import', reason: 'an older one' };
    const attributes = { subject: id, opkind: 'import', operationid: operationId, partitionkey: id };
    await fleet.publish({ id: randomUUID(), type, source: userService, data, attributes });
    await until(
      'the import to be cancelled',
      async () => (await ended(fleet, operationId)).state === 'cancelled' || undefined,
    );
    expect(await instanceSeen(fleet, id)).toMatchObject({ status: 'terminated' });
    const databases = await inDatabase<{ name: string }>(
      fleet,
      'postgres',
      `select datname as name from pg_database where datname like '%${id}%' union all
       select rolname from pg_roles where rolname like '%${id}%'`,
    );
    expect(databases).toEqual([]);
  });

  test('nobody imports what was uploaded for another instance, or was not uploaded', async () => {
    const id = newInstanceId();
    const key = await upload(newInstanceId(), zip);
    const wanted = { customer: 'c-1', name: 'stranger', plan: 'small', owner: { email: 'owner@acme.example' } };
    const from = { kind: 'odoo-zip', key };
    await expect(ask(fleet, 'import', id, { ...wanted, from })).rejects.toThrow('refused: invalid-request');
  });
});
