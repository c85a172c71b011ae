import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { loadDatabaseName } from '#shared/domain/backup/load-names.ts';
import { type LoadResult, openLoadResult } from '#shared/domain/backup/load-result.ts';
import { storedFileKey } from '#shared/domain/backup/manifest.ts';
import type { LoadOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { type AcceptedBackup, backupOrder, inFolder, neverAborted, runBackup } from './backup.fixture.ts';
import { load } from './load.ts';
import { dropTestDatabase, makeTenant, makeVerificationDatabase, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;
let backup: AcceptedBackup;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-load-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder);
  backup = await runBackup(backupOrder(tenant), store);
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

type Run = { order: LoadOrder; result: LoadResult; files: string[] };

async function withLoad(
  change: (order: LoadOrder) => Promise<LoadOrder> | LoadOrder,
  check: (run: Run) => Promise<void>,
): Promise<void> {
  const operationId = randomUUID();
  const { order: backed, manifest } = backup;
  const database = await makeVerificationDatabase();
  const order = await change({
    version: 1,
    task: 'load',
    instanceId: tenant.instanceId,
    operationId,
    attempt: 1,
    store: backed.store,
    prefix: `loads/${tenant.instanceId}/${operationId}/1`,
    resultKey: Buffer.alloc(32, 3).toString('base64'),
    source: {
      kind: 'backup',
      instanceId: tenant.instanceId,
      backupId: backed.backupId,
      manifest,
      keys: backed.keys,
    },
    database,
    filestore: {
      folder: join(folder, 'filestore', loadDatabaseName({ instanceId: tenant.instanceId, operationId, round: 1 })),
      linkFrom: null,
    },
  });
  try {
    await inFolder((work) => load(order, { store, folder: work, signal: neverAborted(), say: () => undefined }));
    const bytes = await store.get(`${order.prefix}/result`);
    const result = openLoadResult(bytes ?? Buffer.alloc(0), order);
    await check({ order, result, files: await filesIn(order.filestore.folder) });
  } finally {
    await dropTestDatabase(database);
  }
}

async function filesIn(place: string): Promise<string[]> {
  if (!(await stat(place).catch(() => undefined))) return [];
  const found = await readdir(place, { recursive: true, withFileTypes: true });
  return found
    .filter((one) => one.isFile())
    .map((one) => one.name)
    .toSorted();
}

const same = (order: LoadOrder) => order;
const linking = (order: LoadOrder) => ({
  ...order,
  filestore: { ...order.filestore, linkFrom: tenant.filestore },
});

describe('a load', () => {
  it('restores database and files beside, and says that they are what the backup holds', async () => {
    await withLoad(same, async ({ order, result, files }) => {
      expect(result).toMatchObject({ differences: [], more: 0, files: 4, linked: 0, odooVersion: '19.0.1.3' });
      expect(files).toEqual(await filesIn(tenant.filestore));
      const { database } = order.database;
      const count = await asSuperuser(
        sharedServers().postgres,
        async (client) => (await client.query('SELECT count(*)::int AS n FROM public.res_partner')).rows[0]?.n,
        { database },
      );
      expect(count).toBe(500);
    });
  });

  it('links the files that the live folder has, and fetches one that is damaged there', async () => {
    const [damaged = ''] = await filesIn(tenant.filestore);
    const path = join(tenant.filestore, damaged.slice(0, 2), damaged);
    const right = await readFile(path);
    await writeFile(path, 'damaged');
    try {
      await withLoad(linking, async ({ order, result, files }) => {
        expect(result).toMatchObject({ differences: [], files: 4, linked: 3 });
        for (const name of files) {
          const [one, other] = [order.filestore.folder, tenant.filestore].map((at) => join(at, name.slice(0, 2), name));
          const isLinked = (await stat(one ?? '')).ino === (await stat(other ?? '')).ino;
          expect(isLinked).toBe(name !== damaged);
        }
        expect(await readFile(join(order.filestore.folder, damaged.slice(0, 2), damaged))).toEqual(right);
      });
    } finally {
      await writeFile(path, right);
    }
  });

  it('keeps what an earlier try has left right, and begins a file that is half anew', async () => {
    await withLoad(
      async (order) => {
        const name = (await filesIn(tenant.filestore))[0] ?? '';
        const path = join(order.filestore.folder, name.slice(0, 2), name);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, 'half');
        return order;
      },
      async ({ result, files }) => {
        expect(result).toMatchObject({ differences: [], files: 4 });
        expect(files).toHaveLength(4);
      },
    );
  });

  it('removes folders of its own operation’s other rounds and those it is told of, and no other', async () => {
    const place = join(folder, 'filestore');
    const nameOf = (operationId: string, round: number, instanceId = tenant.instanceId) =>
      loadDatabaseName({ instanceId, operationId, round });
    const [over, waiting] = [randomUUID(), randomUUID()];
    const stay = [nameOf(waiting, 1), nameOf(over, 1, 'aaaaaaaaaaaa'), `odoo_${tenant.instanceId}`, 'old_x'];
    const gone = [nameOf(over, 1), nameOf(over, 2)];
    await withLoad(
      async (order) => {
        gone.push(nameOf(order.operationId, 2), nameOf(order.operationId, 7));
        for (const name of [...stay, ...gone]) {
          await mkdir(join(place, name), { recursive: true });
          await writeFile(join(place, name, 'file'), 'x');
        }
        // what is not the instance's is not removed, whatever the order says
        const left = [...gone.slice(0, 2), ...stay.slice(1)];
        return { ...order, filestore: { ...order.filestore, left } };
      },
      async ({ order, files }) => {
        expect(files).toHaveLength(4);
        const there = await readdir(place);
        expect(there).toEqual(expect.arrayContaining([...stay, basename(order.filestore.folder)]));
        for (const name of gone) expect(there).not.toContain(name);
      },
    );
  });

  it('follows no link that the tenant has put where its folder is to be', async () => {
    const outside = join(folder, 'outside');
    await mkdir(outside, { recursive: true });
    const linked = async (order: LoadOrder) => {
      await mkdir(dirname(order.filestore.folder), { recursive: true });
      await symlink(outside, order.filestore.folder);
      return order;
    };
    await expect(withLoad(linked, async () => undefined)).rejects.toMatchObject({ code: 'foreign-object' });
    expect(await readdir(outside)).toEqual([]);
  });

  it('says which file is missing in the store, and whose manifest it was given', async () => {
    const [name = ''] = backup.content.files.objects[0] ?? [];
    const path = join(folder, 'store', storedFileKey(tenant.instanceId, name));
    const content = await readFile(path);
    await rm(path);
    try {
      await withLoad(same, async ({ result }) => {
        expect(result.differences).toEqual([expect.stringMatching(/^The object files\/.* is missing\.$/)]);
      });
    } finally {
      await writeFile(path, content);
    }
    const ofAnother = (order: LoadOrder): LoadOrder => {
      if (order.source.kind !== 'backup') return order;
      return { ...order, source: { ...order.source, backupId: randomUUID() } };
    };
    await withLoad(ofAnother, async ({ result }) => {
      expect(result.differences).toEqual([expect.stringContaining('is of another backup')]);
    });
  });

  it('refuses a database that is not empty', async () => {
    const full = async (order: LoadOrder) => {
      const { database } = order.database;
      await asSuperuser(sharedServers().postgres, (client) => client.query('CREATE TABLE x ()'), { database });
      return order;
    };
    await expect(withLoad(full, async () => undefined)).rejects.toMatchObject({ code: 'misconfigured' });
  });
});
