import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import type { ExportOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { breakingStore, fullStore, losingStore, refusingStore, slowStore } from '#shared/testing/faulty-store.ts';
import { type AcceptedBackup, backupOrder, runBackup } from './backup.fixture.ts';
import { exportOrder, failureOf, runExport } from './load.fixture.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;
let backup: AcceptedBackup;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-export-faults-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder, { partners: 5_000 });
  backup = await runBackup(backupOrder(tenant), store);
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

const isDump = (key: string) => key === backup.content.dump.key;
const isFile = (key: string) => key.startsWith('files/');
const isArchive = (key: string) => key.endsWith('/archive');
const isResult = (key: string) => key.endsWith('/result');

async function expectNothing({ prefix }: ExportOrder): Promise<void> {
  expect(await store.head(`${prefix}/archive`)).toBeUndefined();
  expect(await store.head(`${prefix}/result`)).toBeUndefined();
}

describe('an export while the object store fails', () => {
  it.each([
    ['for the manifest', (key: string) => key === backup.manifest.key],
    ['for the dump', isDump],
    ['for files', isFile],
    ['for the archive', isArchive],
  ])('ends as an outage when it cannot be reached %s, and there is no archive', async (_what, isMeant) => {
    const order = exportOrder(backup);
    const failing = refusingStore(store, isMeant);
    expect(await failureOf(runExport(order, failing.store))).toMatchObject({ code: 'unavailable' });
    expect(failing.refused()).toBeGreaterThan(0);
    await expectNothing(order);
  });

  it.each([
    ['the dump', isDump],
    ['a file', isFile],
  ])('does so when it closes the connection in the middle of %s', async (_what, isMeant) => {
    const order = exportOrder(backup);
    expect(await failureOf(runExport(order, breakingStore(store, isMeant)))).toMatchObject({ code: 'unavailable' });
    await expectNothing(order);
  });

  it('goes on when it refuses single calls', async () => {
    const failing = refusingStore(store, (key) => isFile(key) || isResult(key), { calls: 3 });
    expect(await runExport(exportOrder(backup), failing.store)).toMatchObject({ files: 4 });
    expect(failing.refused()).toBe(3);
  });

  it('is right when it is slow', async () => {
    const order = exportOrder(backup);
    const { archive } = await runExport(order, slowStore(store, 30));
    const bytes = await encryptedStore(store, Buffer.from(order.archiveKey, 'base64')).get(archive.key);
    expect(bytes?.length).toBe(archive.bytes);
  });

  it.each([
    ['the dump', isDump],
    ['files', isFile],
  ])('finds out that it answers 200 and loses the end of %s: there is no archive', async (_what, isMeant) => {
    const order = exportOrder(backup);
    expect(await failureOf(runExport(order, losingStore(store, isMeant)))).toMatchObject({ code: 'damaged' });
    await expectNothing(order);
  });

  it('has no archive when it is full, and no result when it is full by then', async () => {
    const order = exportOrder(backup);
    expect(await failureOf(runExport(order, fullStore(store, isArchive)))).toMatchObject({ code: 'no-capacity' });
    await expectNothing(order);
    const second = exportOrder(backup);
    expect(await failureOf(runExport(second, fullStore(store, isResult)))).toMatchObject({ code: 'no-capacity' });
    expect(await store.head(`${second.prefix}/result`)).toBeUndefined();
  });

  it('says how long the archive is, so that one whose end the store has lost is not taken for it', async () => {
    const order = exportOrder(backup);
    const { archive } = await runExport(order, losingStore(store, isArchive));
    expect((await store.head(archive.key))?.size).toBe(archive.storedBytes - 30);
    const sealed = encryptedStore(store, Buffer.from(order.archiveKey, 'base64'));
    await expect(sealed.get(archive.key)).rejects.toMatchObject({ code: 'damaged' });
  });
});
