import { Gauge, type Registry } from 'prom-client';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { newestMomentOf, platformBackupsIn, platformPrefix } from '#shared/domain/platform/backup.ts';

/** They are made once an hour. */
const everyMs = 5 * 60_000;

/** Shows the moment of the platform's newest backup; nothing until the store was looked into, and 0 when it holds none. */
export function makePlatformBackupGauge(registry: Registry): (at: Date | undefined) => void {
  const gauge = new Gauge({
    name: 'fleet_platform_backup_last_timestamp_seconds',
    help: "When the newest backup of the platform's own database whose manifest is in the store began, in seconds since 1970; 0: there is none. That it opens is said by `fleet platform check`.",
    registers: [registry],
  });
  // a 0 before the first look would page somebody
  gauge.remove();
  return (at) => gauge.set(at === undefined ? 0 : at.getTime() / 1000);
}

/**
 * Looks into the store for the platform's newest backup, at most every few minutes, and shows when it was made. A look that
 * fails shows nothing new: the moment stays, and grows old.
 */
export function makePlatformAge(parts: {
  store: Pick<ObjectStore, 'list'>;
  show: (at: Date | undefined) => void;
  now?: () => Date;
}): () => Promise<void> {
  const { store, show, now = () => new Date() } = parts;
  let nextAtMs = 0;
  return async () => {
    const at = now();
    if (at.getTime() < nextAtMs) return;
    // a store that does not answer is not asked by each tick
    nextAtMs = at.getTime() + everyMs;
    const keys: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.list({ prefix: platformPrefix, after });
      keys.push(...page.keys);
      after = page.next;
    } while (after !== undefined);
    show(newestMomentOf(platformBackupsIn(keys), at));
  };
}
