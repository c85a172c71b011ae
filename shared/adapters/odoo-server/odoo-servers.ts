import type { BackupAccess, VerificationDatabases } from '#shared/domain/backup/job-ports.ts';
import type { LoadDatabases } from '#shared/domain/backup/load-ports.ts';
import type { RestoredState, RestoreSides } from '#shared/domain/backup/restore-ports.ts';
import type { Survey } from '#shared/domain/drift/ports.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { TenantDatabases, WarmDatabases } from '#shared/domain/instance/ports.ts';
import type { InstanceTraces } from '#shared/domain/instance/traces.ts';
import type { ServerHoldings } from '#shared/domain/platform/world.ts';
import { backupAccess } from './backup-access.ts';
import { surveyServer } from './catalogue.ts';
import { readServerHoldings } from './holdings.ts';
import { instanceTraces } from './instance-traces.ts';
import { loadDatabases } from './load-databases.ts';
import { prepareServer, type ReachedServer, reachServer } from './prepare.ts';
import { listQuarantined, type Quarantined } from './quarantine.ts';
import { restoreSides } from './restore-sides.ts';
import { restoredState } from './restore-state.ts';
import { openServerAccess, type ServerAccess, type ServerLog, type ServerStats } from './server-access.ts';
import { sweepServer } from './sweep.ts';
import { tenantDatabases } from './tenant-databases.ts';
import { verificationDatabases } from './verification-databases.ts';
import { warmDatabases } from './warm-databases.ts';

export type OdooServersOptions = {
  /** The admin's password under a key of the mounted Secret; asked at every new connection. */
  adminPassword: (secretKey: string) => string | undefined;
  log?: ServerLog;
  /** Of sessions that work under no fence. */
  applicationName?: string;
  /** Connections to each server's control database, at most. */
  poolSize?: number;
};

export type OdooServers = {
  databases: TenantDatabases;
  warm: WarmDatabases;
  backupAccess: BackupAccess;
  verifications: VerificationDatabases;
  loads: LoadDatabases;
  sides: RestoreSides;
  restoredState: RestoredState;
  traces: InstanceTraces;
  /**
   * Connects once with the admin's password; a server is placeable after that.
   * @throws Failure `unavailable`, or `misconfigured` with what to change.
   */
  reach(server: DatabaseServer): Promise<ReachedServer>;
  /** Makes the control database, once per process and server; every other call does it by itself. */
  prepare(server: DatabaseServer): Promise<void>;
  /** Drops databases that nobody needs: `trash_…`, and `making_…` of holders that have lost the fence. Returns their names. */
  sweep(server: DatabaseServer): Promise<readonly string[]>;
  /** What the server holds of a shard, and what of it is not as the records want it: see `surveyServer`. */
  survey(server: DatabaseServer, shard: string): Promise<Survey>;
  /** Fences and databases of every instance on the server. */
  holdings(server: DatabaseServer): Promise<ServerHoldings>;
  /** Databases that were put out of use because no record knew their instance. */
  quarantined(server: DatabaseServer): Promise<readonly Quarantined[]>;
  /** Connections by server id. */
  stats(): Readonly<Record<string, ServerStats>>;
  end(): Promise<void>;
};

/** The Odoo PostgreSQL servers of the fleet. Opens no connection before the first call. */
export function openOdooServers(options: OdooServersOptions): OdooServers {
  const settings = {
    adminPassword: options.adminPassword,
    log: options.log ?? { warn: () => undefined },
    applicationName: options.applicationName ?? 'odoo-fleet',
    poolSize: options.poolSize ?? 4,
  };
  const accesses = new Map<string, { access: ServerAccess; prepared: Promise<void> | undefined }>();

  function entryOf(server: DatabaseServer) {
    // a row that was changed is another server: its connections are not mixed with the old ones
    const key = JSON.stringify([
      server.id,
      server.host,
      server.port,
      server.adminUser,
      server.secretKey,
      server.sslMode,
    ]);
    let entry = accesses.get(key);
    if (entry === undefined) {
      entry = { access: openServerAccess(server, settings), prepared: undefined };
      accesses.set(key, entry);
    }
    return entry;
  }

  async function prepared(server: DatabaseServer): Promise<ServerAccess> {
    const entry = entryOf(server);
    entry.prepared ??= prepareServer(entry.access).catch((error) => {
      entry.prepared = undefined;
      throw error;
    });
    await entry.prepared;
    return entry.access;
  }

  return {
    databases: tenantDatabases(prepared),
    warm: warmDatabases(prepared),
    backupAccess: backupAccess(prepared),
    verifications: verificationDatabases(prepared),
    loads: loadDatabases(prepared),
    sides: restoreSides(prepared),
    restoredState: restoredState(prepared),
    traces: instanceTraces(prepared),
    reach: async (server) => reachServer(entryOf(server).access),
    prepare: async (server) => void (await prepared(server)),
    sweep: async (server) => sweepServer(await prepared(server)),
    survey: async (server, shard) => surveyServer(await prepared(server), shard),
    holdings: async (server) => readServerHoldings(await prepared(server)),
    quarantined: async (server) => listQuarantined(await prepared(server)),
    stats: () => Object.fromEntries([...accesses.values()].map(({ access }) => [access.server.id, access.stats()])),
    end: async () => void (await Promise.all([...accesses.values()].map(({ access }) => access.end()))),
  };
}
