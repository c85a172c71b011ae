import { randomUUID } from 'node:crypto';
import { listActiveDatabaseServers, recordReached } from '#shared/adapters/postgres/database-servers.ts';
import { listActiveImages } from '#shared/adapters/postgres/images.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import { forgetPublished } from '#shared/adapters/postgres/outbox.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { flushOutbox } from '#shared/runtime/outbox.ts';
import { type Wake, wakeDueOperations } from './due-operations.ts';
import { keepWarm, type WarmPorts, type WarmReport, type WarmWish } from './warm-databases.ts';

/** Outgoing events that nobody published: their function flushes them itself within its request. */
const outboxGraceMs = 1_000;
/** Batches of the outbox one tick sends when a broker is back after a while: 1,000 events. */
const outboxBatches = 50;
/** Longer than upkeep takes; a holder that dies keeps others off for this long at most. */
const upkeepLeaseMs = 60_000;

export type ReconcileDependencies = Wake & {
  holder: string;
  ports: WarmPorts & {
    /** Connects with the server's key, prepares its control database, and tells its version. */
    reach(server: DatabaseServer): Promise<{ versionNumber: number }>;
    /** Drops what crashes and undone operations left: databases under a `trash_` name or of holders without the fence. */
    sweep(server: DatabaseServer): Promise<readonly string[]>;
  };
  /** The older platform's one server, when the records hold none; undefined when it is not configured. */
  adoptLegacyServer: () => Promise<void>;
  onWarm: (report: WarmReport) => void;
  onTrouble: (what: string, error: unknown) => void;
};

export type TickReport = {
  published: number;
  woken: number;
  straight: number;
  failed: number;
  warm: readonly WarmReport[];
};

/**
 * One tick: publishes what the outbox still holds, wakes due operations, keeps databases warm. Each part is repeatable
 * and bounded; two ticks at once share the work. A part that fails does not keep the others from running.
 */
export async function tick(dependencies: ReconcileDependencies): Promise<TickReport> {
  const { onTrouble } = dependencies;
  const report = { published: 0, woken: 0, straight: 0, failed: 0, warm: [] as readonly WarmReport[] };
  const parts: { name: string; run: () => Promise<void> }[] = [
    {
      name: 'outbox',
      run: async () => {
        report.published = await sweepOutbox(dependencies);
      },
    },
    { name: 'due operations', run: async () => void Object.assign(report, await wakeDueOperations(dependencies)) },
    {
      name: 'warm databases',
      run: async () => {
        report.warm = await upkeep(dependencies);
      },
    },
  ];
  const errors: unknown[] = [];
  for (const part of parts) {
    try {
      await part.run();
    } catch (error) {
      errors.push(error);
      onTrouble(part.name, error);
    }
  }
  // Nothing could be done at all: let the source of the ticks know.
  if (errors.length === parts.length) throw errors[0];
  return report;
}

/** For people who look into what was sent; nothing reads them again. */
const outboxKeptDays = 7;

/** Batch after batch while the broker takes them; old ones that were sent are forgotten. */
async function sweepOutbox({ database, publish }: ReconcileDependencies): Promise<number> {
  let sent = 0;
  for (let batch = 0; batch < outboxBatches; batch += 1) {
    const { published, failed } = await flushOutbox(database, publish, { olderThanMs: outboxGraceMs });
    sent += published;
    if (published === 0 || failed > 0) break;
  }
  await forgetPublished(database, { olderThanDays: outboxKeptDays, limit: 1_000 });
  return sent;
}

async function upkeep(dependencies: ReconcileDependencies): Promise<readonly WarmReport[]> {
  const { database } = dependencies;
  // A holder of its own for each tick: two that overlap in one process must keep each other out, too.
  const lease = { name: 'warm-databases', holder: `${dependencies.holder} ${randomUUID()}` };
  if (!(await takeLease(database, { ...lease, leaseMs: upkeepLeaseMs }))) return [];
  try {
    await dependencies.adoptLegacyServer();
    const images = await listActiveImages(database);
    const wishes = images.map(({ image, warmTarget }) => ({ image, target: warmTarget }));
    const servers = await listActiveDatabaseServers(database);
    // One bad server must not keep the others cold.
    const results = await Promise.all(
      servers.map(({ server, reachedAt }) => upkeepOf(dependencies, { server, wishes, isNew: reachedAt === null })),
    );
    return results.flat();
  } finally {
    await releaseLease(database, lease);
  }
}

async function upkeepOf(
  { database, ports, onWarm, onTrouble }: ReconcileDependencies,
  work: { server: DatabaseServer; wishes: readonly WarmWish[]; isNew: boolean },
): Promise<readonly WarmReport[]> {
  const { server, wishes } = work;
  try {
    if (work.isNew) {
      const { versionNumber } = await ports.reach(server);
      await recordReached(database, server.id, { serverVersion: versionNumber });
    }
    await ports.sweep(server);
    const reports = await keepWarm(ports, server, wishes);
    for (const report of reports) onWarm(report);
    return reports;
  } catch (error) {
    onTrouble(`database server ${server.id}`, error);
    return [];
  }
}
