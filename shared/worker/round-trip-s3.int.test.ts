import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openObjectStore } from '#shared/adapters/objectstore/open.ts';
import { isWithoutS3, s3World, whyWithoutS3 } from '#shared/adapters/objectstore/s3.fixture.ts';
import { backupOrder, runBackup, runVerify } from './backup.fixture.ts';
import { dropTestDatabase, makeTenant } from './tenant.fixture.ts';

describe.skipIf(isWithoutS3)(`a backup in a bucket${whyWithoutS3}`, () => {
  const world = s3World();

  it('is made and proven with credentials that may not delete; its second one brings what is new', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleet-s3-round-trip-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const tenant = await makeTenant(folder);
    onTestFinished(() => dropTestDatabase(tenant.access));
    const { endpoint, region, writer, newBucket } = world().server;
    const access = { kind: 's3', endpoint, region, bucket: await newBucket(), ...writer } as const;
    const store = openObjectStore(access);
    const first = await runBackup(backupOrder(tenant, { store: access }), store);
    expect(await runVerify(first, store)).toMatchObject({ differences: [], files: 4 });
    await tenant.asSuperuser((client) => tenant.attach(client, 'new'));
    const second = await runBackup(backupOrder(tenant, { store: access, previous: first }), store);
    expect(second.content.files).toMatchObject({ count: 5, uploaded: { count: 1 } });
    expect(await runVerify(second, store)).toMatchObject({ differences: [], files: 5 });
    await expect(store.remove(first.content.dump.key)).rejects.toMatchObject({ code: 'not-allowed' });
  });
});
