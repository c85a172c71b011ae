import { createHash, randomUUID } from 'node:crypto';
import { giveUp, listDeleting, markDeleted, takeToRetain } from '#shared/adapters/postgres/backup-deletion.ts';
import { endAbandoned } from '#shared/adapters/postgres/backup-ends.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import {
  beginCollection,
  type Collection,
  endCollection,
  listToCollect,
  renewCollection,
} from '#shared/adapters/postgres/file-collection.ts';
import type { Backup } from '#shared/domain/backup/backup.ts';
import { fileKeysOf, openManifest } from '#shared/domain/backup/manifest.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

const pageSize = 50;
/** Backups whose objects one tick removes at most, and instances whose files it goes through. */
const deletionsPerTick = 50;
const collectionsPerTick = 10;

/** No backup takes longer than this: what is younger may belong to a manifest that is yet to come. */
export const longestBackupMs = 24 * 3_600_000;
/** The right to remove files lasts so long, and no removal is begun in its last third. A removal takes less than that. */
const leaseMs = 90_000;
const marginMs = 30_000;

export type BackupRemoval = {
  database: Database;
  /** Reads manifests and looks at files: the identity that backups are written by will do. */
  reader: Pick<ObjectStore, 'get' | 'head'>;
  /** Another identity: only it may delete. */
  remover: Pick<ObjectStore, 'list' | 'remove'>;
  onTrouble: (what: string, error: unknown) => void;
  /** No further page, backup or instance is begun after so long, in each of its parts. Default 3 s. */
  budgetMs?: number;
  /** Files of one instance are gone through for so long in one tick; a later one goes on behind them. Default 6 s. */
  sweepMs?: number;
  /** For tests: how long ago is long enough. */
  clock?: () => number;
};

/** How far the files of an instance were gone through: one with very many takes several ticks. */
type Passed = { removed: number; left: number; after: string | undefined };

export type RemovalReport = { abandoned: number; givenUp: number; deleted: number; filesRemoved: number };

/**
 * Ends what lost operations have left running, gives up what retention does not keep, removes the objects of what was given up,
 * and then files that no backup names any more. Bounded and repeatable; what is not done is done by a later tick. Costs
 * what is due, not what the fleet has.
 */
export function makeBackupRemoval(removal: BackupRemoval): () => Promise<RemovalReport> {
  let after: string | null = null;
  const passed = new Map<string, Passed>();
  return async () => {
    const { database } = removal;
    const report: RemovalReport = { abandoned: 0, givenUp: 0, deleted: 0, filesRemoved: 0 };
    report.abandoned = await endAbandoned(database, { limit: 50 });
    report.givenUp = await decide(removal);
    const deletions = await removeGivenUp(removal, after);
    report.deleted = deletions.deleted;
    after = deletions.next;
    const until = untilOf(removal);
    for (const instanceId of await listToCollect(database, collectionsPerTick)) {
      if (performance.now() > until) break;
      await tried(removal, `files of instance ${instanceId}`, async () => {
        report.filesRemoved += await collect(removal, instanceId, passed);
      });
    }
    return report;
  };
}

async function tried({ onTrouble }: BackupRemoval, what: string, work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    onTrouble(what, error);
    return false;
  }
}

const untilOf = ({ budgetMs = 3_000 }: BackupRemoval) => performance.now() + budgetMs;

/** Retention of those whose turn it is, one page after the other, until the time of this go is over. */
async function decide(removal: BackupRemoval): Promise<number> {
  const until = untilOf(removal);
  let givenUp = 0;
  let page: string[];
  do {
    page = await takeToRetain(removal.database, pageSize);
    for (const instanceId of page) {
      await tried(removal, `retention of instance ${instanceId}`, async () => {
        givenUp += (await giveUp(removal.database, instanceId, { actor: 'retention' })).length;
      });
    }
  } while (page.length === pageSize && performance.now() < until);
  return givenUp;
}

/** Goes on behind the last one: one that cannot be removed keeps no other waiting. */
async function removeGivenUp(
  removal: BackupRemoval,
  from: string | null,
): Promise<{ deleted: number; next: string | null }> {
  const until = untilOf(removal);
  const page = await listDeleting(removal.database, { after: from, limit: deletionsPerTick });
  let [deleted, next] = [0, from];
  for (const backup of page) {
    if (performance.now() > until) return { deleted, next };
    if (await tried(removal, `deletion of backup ${backup.id}`, () => remove(removal, backup))) deleted += 1;
    next = backup.id;
  }
  return { deleted, next: page.length < deletionsPerTick ? null : next };
}

async function* keysUnder(store: Pick<ObjectStore, 'list'>, prefix: string, from?: string): AsyncGenerator<string> {
  let after = from;
  do {
    const page = await store.list({ prefix, after });
    yield* page.keys;
    after = page.next;
  } while (after !== undefined);
}

/** The manifest goes first: what is left of a deletion that was cut short is never taken for a backup. */
async function remove(removal: BackupRemoval, backup: Backup): Promise<void> {
  const { remover, database } = removal;
  const folder = `backups/${backup.instanceId}/${backup.id}/`;
  const keys: string[] = [];
  for (const prefix of [folder, `verifications/${backup.instanceId}/${backup.id}/`]) {
    for await (const key of keysUnder(remover, prefix)) keys.push(key);
  }
  const manifest = keys.filter((key) => key === `${folder}manifest`);
  for (const key of [...manifest, ...keys.filter((one) => !manifest.includes(one))]) await remover.remove(key);
  await markDeleted(database, backup, { actor: 'retention', objects: keys.length });
}

/** The files that a kept backup names. @throws Failure when that cannot be told: then all of them have to stay. */
async function filesOf({ reader }: BackupRemoval, backup: Backup): Promise<string[]> {
  if (backup.manifest === null) throw new Failure('internal', `Backup ${backup.id} has no manifest.`);
  const { key, sha256 } = backup.manifest;
  const bytes = await reader.get(key);
  if (bytes === undefined || createHash('sha256').update(bytes).digest('hex') !== sha256) {
    const text = `The manifest of backup ${backup.id} is ${bytes === undefined ? 'gone' : 'not the one that was accepted'}: no file of instance ${backup.instanceId} is removed until that is mended.`;
    throw new Failure('damaged', text);
  }
  // Signed when it was accepted: its bytes are those whose digest the records hold.
  return fileKeysOf(openManifest(bytes, { isSigned: () => true }));
}

async function collect(removal: BackupRemoval, instanceId: string, passed: Map<string, Passed>): Promise<number> {
  const { database } = removal;
  const collector = randomUUID();
  const asked = performance.now();
  const begun = await beginCollection(database, { instanceId, collector, leaseMs });
  if (begun === undefined) return 0;
  const count = passed.get(instanceId) ?? { removed: 0, left: 0, after: undefined };
  const removedBefore = count.removed;
  passed.delete(instanceId);
  let isWhole = false;
  try {
    isWhole = await sweep(removal, { ...begun, asked }, count);
    if (!isWhole) passed.set(instanceId, count);
  } finally {
    const removed = isWhole ? count.removed : undefined;
    await endCollection(database, begun, { removed, left: count.left, actor: 'retention' });
  }
  return count.removed - removedBefore;
}

/**
 * Removes the files that no kept backup names and that are older than the longest backup. Nothing is removed without the
 * right to it: a process that stood still loses it and stops. True when all files were gone through; else a later tick
 * goes on behind the last one: each gets further by one at least, however slow the store is.
 */
async function sweep(removal: BackupRemoval, begun: Collection & { asked: number }, count: Passed): Promise<boolean> {
  const { reader, remover, database, sweepMs = 6_000, clock = Date.now } = removal;
  let rightUntil = begun.asked + leaseMs - marginMs;
  const named = new Set<string>();
  const renew = async () => {
    const asked = performance.now();
    if (!(await renewCollection(database, { ...begun, leaseMs }))) return false;
    rightUntil = asked + leaseMs - marginMs;
    return true;
  };
  for (const backup of begun.kept) {
    for (const key of await filesOf(removal, backup)) named.add(key);
    if (!(await renew())) return false;
  }
  const isOld = async (key: string) => {
    const head = await reader.head(key);
    return head !== undefined && clock() - head.writtenAt.getTime() >= longestBackupMs;
  };
  const stopAt = performance.now() + sweepMs;
  for await (const key of keysUnder(remover, `files/${begun.instanceId}/`, count.after)) {
    if (!named.has(key) && (await isOld(key))) {
      if (performance.now() > rightUntil) return false;
      await remover.remove(key);
      count.removed += 1;
    } else {
      count.left += 1;
    }
    count.after = key;
    if (performance.now() > stopAt) return false;
  }
  return true;
}
