import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { platformBackupId, platformKeys } from '#shared/domain/platform/backup.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makePlatformRetention } from './platform.ts';

const records = platformOfThisFile(databaseOfThisFile());
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-platform-retention-'));
});
afterAll(() => rm(folder, { recursive: true }));

const now = new Date('2026-11-22T06:00:00Z');

test('the tick removes what retention gives up, manifest first, once in half an hour', async () => {
  const store = openDirectoryStore(folder);
  const ids = Array.from({ length: 60 }, (_, hours) =>
    platformBackupId(new Date(now.getTime() - hours * 3_600_000), '00000000'),
  );
  for (const id of ids) {
    for (const key of Object.values(platformKeys(id))) await store.put(key, Buffer.from(id));
  }
  await store.put('backups/of-an-instance/manifest', Buffer.from('x'));
  const removed: string[] = [];
  const remover = {
    list: store.list,
    remove: async (key: string) => {
      removed.push(key);
      await store.remove(key);
    },
  };
  const run = (holder: string) => makePlatformRetention({ database: records(), holder, remover, now: () => now })();
  // 48 hours, and the newest of the day before them
  expect(await run('one')).toBe(60 - 48 - 1);
  expect(await run('two')).toBe(0);
  expect(removed).toHaveLength(2 * 11);
  expect(removed.filter((_, at) => at % 2 === 0).every((key) => key.endsWith('/manifest'))).toBe(true);
  const { keys } = await store.list({ prefix: 'platform/', limit: 1_000 });
  expect(keys).toHaveLength(2 * 49);
  expect(await store.head('backups/of-an-instance/manifest')).toBeDefined();
});
