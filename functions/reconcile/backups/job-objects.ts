import { randomUUID } from 'node:crypto';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

/** What Jobs write for the operation that started them, and nobody reads once it is over; sorted. */
const places = ['loads/', 'swaps/', 'tidies/'] as const;
const pattern = /^[a-z]+\/([a-z2-7]{12})\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\//;

const everyMs = 5 * 60_000;
const budgetMs = 5_000;
/** For people who look why something failed. */
export const keptMs = 24 * 3_600_000;

export type JobObjectRemoval = {
  database: Database;
  holder: string;
  /** Tells how old an object of no known operation is. */
  reader: Pick<ObjectStore, 'head'>;
  /** Only it may delete. */
  remover: Pick<ObjectStore, 'list' | 'remove'>;
  onTrouble: (what: string, error: unknown) => void;
  /** For tests. */
  clock?: () => number;
  budgetMs?: number;
};

/**
 * Removes what the Jobs of restores, clones and imports have written for their operations, a day after these were over, and
 * of purged instances at once: results name modules, and their differences quote data. Goes by what is in the store, so that it finds
 * what no record knows, and what a Job wrote that outlived its operation. Every five minutes, in one of the processes;
 * what takes longer than a tick may is gone on with by the next.
 */
export function makeJobObjectRemoval(removal: JobObjectRemoval): () => Promise<{ removed: number }> {
  let cursor: string | undefined;
  return async () => {
    const { database, onTrouble } = removal;
    const lease = { name: 'backup-job-objects', holder: `${removal.holder} ${randomUUID()}` };
    if (!(await takeLease(database, { ...lease, leaseMs: everyMs }))) return { removed: 0 };
    const until = performance.now() + (removal.budgetMs ?? budgetMs);
    let removed = 0;
    for (const place of places) {
      // those before it were gone through
      if (cursor !== undefined && !cursor.startsWith(place) && cursor > place) continue;
      let after = cursor?.startsWith(place) ? cursor : undefined;
      cursor = undefined;
      try {
        do {
          const page = await removal.remover.list({ prefix: place, after });
          removed += await removeOver(removal, page.keys);
          after = page.next;
          if (after !== undefined && performance.now() > until) {
            cursor = after;
            await releaseLease(database, lease);
            return { removed };
          }
        } while (after !== undefined);
      } catch (error) {
        onTrouble(`objects below ${place}`, error);
      }
    }
    return { removed };
  };
}

/** One operation's objects below one place. */
type Folder = { instanceId: string; operationId: string; keys: string[] };

async function removeOver(removal: JobObjectRemoval, keys: readonly string[]): Promise<number> {
  const folders = new Map<string, Folder>();
  for (const key of keys) {
    const [folder, instanceId, operationId] = pattern.exec(key) ?? [];
    // whatever else is there is not ours
    if (folder === undefined || instanceId === undefined || operationId === undefined) continue;
    const one = folders.get(folder) ?? { instanceId, operationId, keys: [] };
    one.keys.push(key);
    folders.set(folder, one);
  }
  const endings = await lookUp(removal.database, [...folders.values()]);
  let removed = 0;
  for (const [name, folder] of folders) {
    try {
      removed += await removeFolder(removal, folder, endings.get(folder.operationId));
    } catch (error) {
      // one that cannot be removed keeps no other waiting
      removal.onTrouble(`objects below ${name}`, error);
    }
  }
  return removed;
}

/** `unknown`: there is no record of the operation. */
type Ending = 'at work' | 'over' | 'unknown';

async function lookUp(queryable: Queryable, folders: readonly Folder[]): Promise<Map<string, Ending>> {
  const { rows } = await queryable.query<{ id: string; ending: Ending }>(
    `select f.id, case when i.purged_at is not null then 'over' when o.id is null then 'unknown'
         when o.state in ('succeeded', 'failed', 'cancelled')
           and coalesce(o.finished_at, o.created_at) < clock_timestamp() - $3::bigint * interval '1 millisecond'
         then 'over' else 'at work' end as ending
     from unnest($1::text[], $2::uuid[]) as f (instance_id, id)
       left join instances i on i.id = f.instance_id left join operations o on o.id = f.id`,
    [folders.map(({ instanceId }) => instanceId), folders.map(({ operationId }) => operationId), keptMs],
  );
  return new Map(rows.map(({ id, ending }) => [id, ending]));
}

async function removeFolder(removal: JobObjectRemoval, { keys }: Folder, ending?: Ending): Promise<number> {
  const { reader, remover, clock = Date.now } = removal;
  if (ending === undefined || ending === 'at work') return 0;
  let removed = 0;
  for (const key of keys) {
    const head = ending === 'unknown' ? await reader.head(key) : undefined;
    if (ending === 'unknown' && (head === undefined || clock() - head.writtenAt.getTime() < keptMs)) continue;
    await remover.remove(key);
    removed += 1;
  }
  return removed;
}
