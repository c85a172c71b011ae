import { createHash } from 'node:crypto';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { insertBackup } from '#shared/adapters/postgres/backup-records.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { signManifest } from '#shared/domain/backup/manifest.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { exampleResult } from '#shared/steps/backup/example-result.fixture.ts';
import { longestBackupMs } from './remove.ts';

/** Backups whose objects are in a store: a folder that `end` removes. */
export type StoredBackups = {
  store: ObjectStore;
  /** A file as old as need be for it to be removed, unless stated. */
  putFile(instanceId: string, content: string, ageMs?: number): Promise<void>;
  /** A proven backup of some days ago with its objects, that names these files. Gives its id. */
  storeBackup(instanceId: string, options: { daysAgo: number; names: readonly string[] }): Promise<string>;
  end(): Promise<void>;
};

const nameOf = (content: string) => createHash('sha256').update(content).digest('hex');

/** Where a file of this content lies. */
export function fileKey(instanceId: string, content: string): string {
  return `files/${instanceId}/${nameOf(content).slice(0, 2)}/${nameOf(content)}`;
}

function manifestOf(instanceId: string, backupId: string, contents: readonly string[]): Buffer {
  const result = exampleResult(`backups/${instanceId}/${backupId}/1`, backupId);
  const objects = contents.map((content): [string, number, string] => [
    nameOf(content),
    content.length,
    nameOf(content),
  ]);
  const files = { ...result.files, count: objects.length, objects };
  return signManifest({ ...result, instanceId, files }, { dump: 'd', files: 'f' }, hmacSigner('k', Buffer.alloc(32)));
}

export async function storedBackups(database: Database): Promise<StoredBackups> {
  const folder = await mkdtemp(join(tmpdir(), 'stored-backups-'));
  const store = openDirectoryStore(folder);
  const putFile: StoredBackups['putFile'] = async (instanceId, content, ageMs = longestBackupMs + 60_000) => {
    const key = fileKey(instanceId, content);
    await store.put(key, Buffer.from(content));
    const at = new Date(Date.now() - ageMs);
    await utimes(join(folder, key), at, at);
  };
  return {
    store,
    putFile,
    async storeBackup(instanceId, { daysAgo, names }) {
      const id = await insertBackup(database, instanceId, { daysAgo, proof: 'proven' });
      const key = `backups/${instanceId}/${id}/manifest`;
      const bytes = manifestOf(instanceId, id, names);
      await store.put(key, bytes);
      await store.put(`backups/${instanceId}/${id}/1/dump`, Buffer.from('dump'));
      await store.put(`verifications/${instanceId}/${id}/x/1/result`, Buffer.from('{}'));
      await database.query('update backups set manifest_key = $2, manifest_sha256 = $3 where id = $1', [
        id,
        key,
        createHash('sha256').update(bytes).digest('hex'),
      ]);
      for (const content of names) await putFile(instanceId, content);
      return id;
    },
    end: () => rm(folder, { recursive: true }),
  };
}
