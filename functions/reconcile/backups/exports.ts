import { randomUUID } from 'node:crypto';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { giveUpExports, listDeletingExports, markExportDeleted } from '#shared/adapters/postgres/export-deletion.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import { exportFolder } from '#shared/domain/backup/job-names.ts';
import { uploadKeptMs, uploadOwner } from '#shared/domain/backup/upload.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

const atMost = 20;
/** Archives that were uploaded for an import are looked at once in so long. */
const uploadsEveryMs = 10 * 60_000;

export type ExportRemoval = {
  database: Database;
  holder: string;
  /** Tells how old an upload is. */
  reader: Pick<ObjectStore, 'head'>;
  /** Only it may delete. */
  remover: Pick<ObjectStore, 'list' | 'remove'>;
  onTrouble: (what: string, error: unknown) => void;
  /** For tests. */
  clock?: () => number;
};

export type ExportRemovalReport = { givenUp: number; deleted: number; uploads: number };

/**
 * Deletes exports whose time is over, all those of purged instances, and what failed ones have left; and archives that were
 * uploaded for an import, a week after, or once their instance is purged. An export's key is forgotten first: from then on its objects are noise, also
 * where the store keeps them under a lock.
 */
export function makeExportRemoval(removal: ExportRemoval): () => Promise<ExportRemovalReport> {
  return async () => {
    const { database, remover, onTrouble } = removal;
    const givenUp = await giveUpExports(database, atMost);
    let deleted = 0;
    for (const one of await listDeletingExports(database, atMost)) {
      try {
        const prefix = `${exportFolder({ instanceId: one.instanceId, operationId: one.id })}/`;
        const objects = await removeAll(remover, await allKeys(remover, prefix));
        await markExportDeleted(database, one, objects);
        deleted += 1;
      } catch (error) {
        onTrouble(`deletion of export ${one.id}`, error);
      }
    }
    return { givenUp, deleted, uploads: await removeUploads(removal) };
  };
}

async function removeUploads(removal: ExportRemoval): Promise<number> {
  const { database, remover, reader, onTrouble, clock = Date.now } = removal;
  const lease = { name: 'import-uploads', holder: `${removal.holder} ${randomUUID()}` };
  if (!(await takeLease(database, { ...lease, leaseMs: uploadsEveryMs }))) return 0;
  try {
    const keys = await allKeys(remover, 'imports/');
    const purged = await purgedAmong(database, new Set(keys.flatMap((key) => uploadOwner(key) ?? [])));
    let removed = 0;
    for (const key of keys) {
      const isPurged = purged.has(uploadOwner(key) ?? '');
      const head = isPurged ? undefined : await reader.head(key);
      if (!isPurged && (head === undefined || clock() - head.writtenAt.getTime() <= uploadKeptMs)) continue;
      try {
        await remover.remove(key);
        removed += 1;
      } catch (error) {
        onTrouble(`upload ${key}`, error);
      }
    }
    return removed;
  } catch (error) {
    await releaseLease(database, lease);
    onTrouble('uploads for imports', error);
    return 0;
  }
}

async function purgedAmong(queryable: Queryable, ids: ReadonlySet<string>): Promise<Set<string>> {
  const { rows } = await queryable.query<{ id: string }>(
    'select id from instances where id = any($1) and purged_at is not null',
    [[...ids]],
  );
  return new Set(rows.map(({ id }) => id));
}

async function removeAll(remover: ExportRemoval['remover'], keys: readonly string[]): Promise<number> {
  for (const key of keys) await remover.remove(key);
  return keys.length;
}

async function allKeys(remover: ExportRemoval['remover'], prefix: string): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await remover.list({ prefix, after });
    keys.push(...page.keys);
    after = page.next;
  } while (after !== undefined);
  return keys;
}
