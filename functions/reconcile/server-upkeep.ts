import { randomUUID } from 'node:crypto';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { listActiveDatabaseServers, recordReached } from '#shared/adapters/postgres/database-servers.ts';
import { listActiveImages } from '#shared/adapters/postgres/images.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import type { FleetFacts } from '#shared/domain/drift/fleet.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { within } from '#shared/runtime/reconcile/within.ts';
import { keepWarm, shortagesOf, type WarmPorts, type WarmReport, type WarmWish } from './warm-databases.ts';

/** Longer than upkeep takes; a holder that dies keeps others off for this long at most. */
const leaseMs = 60_000;

export type ServerUpkeep = {
  database: Database;
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

/** Reaches new servers, sweeps all and keeps their warm databases as wished. One tick at a time does it. */
export async function keepServers(upkeep: ServerUpkeep): Promise<readonly WarmReport[]> {
  const { database } = upkeep;
  // A holder of its own for each tick: two that overlap in one process must keep each other out, too.
  const lease = { name: 'warm-databases', holder: `${upkeep.holder} ${randomUUID()}` };
  if (!(await takeLease(database, { ...lease, leaseMs }))) return [];
  try {
    await upkeep.adoptLegacyServer();
    const wishes = await readWishes(database);
    const servers = await listActiveDatabaseServers(database);
    // One bad server must not keep the others cold.
    const results = await Promise.all(
      servers.map(({ server, reachedAt, purpose }) =>
        keepServer(upkeep, { server, wishes: purpose === 'tenants' ? wishes : [], isNew: reachedAt === null }),
      ),
    );
    return results.flat();
  } finally {
    await releaseLease(database, lease);
  }
}

async function readWishes(database: Database): Promise<WarmWish[]> {
  const images = await listActiveImages(database);
  return images.map(({ image, warmTarget }) => ({ image, target: warmTarget }));
}

async function keepServer(
  { database, ports, onWarm, onTrouble }: ServerUpkeep,
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

const lookDeadlineMs = 5_000;

/** Templates of which a server has too few clones. A server that does not answer has no part in it: that is told elsewhere. */
export async function findShortages(
  database: Database,
  warm: Pick<WarmPorts['warm'], 'survey'>,
): Promise<FleetFacts['warmShortages']> {
  const wishes = await readWishes(database);
  const servers = (await listActiveDatabaseServers(database)).filter(
    ({ reachedAt, purpose }) => reachedAt !== null && purpose === 'tenants',
  );
  const results = await Promise.allSettled(
    servers.map(async ({ server }) => {
      const found = await within(lookDeadlineMs, () => warm.survey(server), `server ${server.id}`);
      return shortagesOf(server.id, wishes, found);
    }),
  );
  return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}
