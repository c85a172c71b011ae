import type { Database } from '#shared/adapters/postgres/database.ts';
import { takeLease } from '#shared/adapters/postgres/leases.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { platformBackupsIn, platformKeys, platformPrefix } from '#shared/domain/platform/backup.ts';
import { givenUpPlatformBackups } from '#shared/domain/platform/retention.ts';

const everyMs = 30 * 60_000;
/** Hourly ones leave one an hour; more of them than this is what was long not done. */
const removalsAtOnce = 50;

/**
 * Removes the backups of the platform itself that retention does not keep, by the identity that may delete: what makes them
 * may not. Twice an hour, by one of the processes. Returns how many.
 */
export function makePlatformRetention(parts: {
  database: Database;
  holder: string;
  remover: Pick<ObjectStore, 'list' | 'remove'>;
  now?: () => Date;
}): () => Promise<number> {
  const { database, holder, remover, now = () => new Date() } = parts;
  return async () => {
    if (!(await takeLease(database, { name: 'platform-backup-retention', holder, leaseMs: everyMs }))) return 0;
    const keys: string[] = [];
    let after: string | undefined;
    do {
      const page = await remover.list({ prefix: platformPrefix, after });
      keys.push(...page.keys);
      after = page.next;
    } while (after !== undefined);
    const givenUp = givenUpPlatformBackups(platformBackupsIn(keys), now()).slice(0, removalsAtOnce);
    for (const { id, keys: own } of givenUp) {
      // the manifest first: what is left of a removal that was cut short is no backup
      const { manifest } = platformKeys(id);
      for (const key of own.toSorted((one) => (one === manifest ? -1 : 1))) await remover.remove(key);
    }
    return givenUp.length;
  };
}
