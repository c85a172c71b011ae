import { beforeAll, beforeEach } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { upsertDatabaseServer } from '#shared/adapters/postgres/database-servers.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import type { Finding } from '#shared/domain/drift/findings.ts';
import type { FleetFacts } from '#shared/domain/drift/fleet.ts';
import type { Drift, Orphan, Survey } from '#shared/domain/drift/ports.ts';
import type { Seen } from '#shared/domain/observation/observation.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import { insertCatalogue, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { ReconcileEngine } from './engine.ts';
import { reconcileDueShards } from './shards.ts';

/**
 * The platform's records. Every test finds a catalogue, and neither instances nor findings nor a shard that is held.
 * Call it at the top of a file.
 */
export function recordsOfThisFile(): () => Database {
  const database = platformOfThisFile();
  beforeAll(() => insertCatalogue(database()));
  beforeEach(async () => {
    await database().query(
      'truncate findings, operations, operation_steps, inbox, outbox, streams, instances, db_servers cascade',
    );
    await database().query(`update reconcile_shards set blind = '{}', holder = null, until = null`);
  });
  return database;
}

/** What the places hold, in memory; a test changes it between passes. */
export type Places = {
  cluster: Map<string, Drift[]>;
  clusterOrphans: Orphan[];
  /** Whether instances run, as the cluster says. */
  seen: Map<string, Seen>;
  servers: Map<string, Map<string, Drift[]>>;
  serverOrphans: Map<string, Orphan[]>;
  /** Places whose survey fails, and those whose survey never ends. */
  failing: Set<string>;
  hanging: Set<string>;
  surveys: string[];
};

/** The engine on the real records, with places in memory. */
export function makeWorld(database: Database, change: Partial<ReconcileEngine> = {}) {
  const places: Places = {
    cluster: new Map(),
    clusterOrphans: [],
    seen: new Map(),
    servers: new Map(),
    serverOrphans: new Map(),
    failing: new Set(),
    hanging: new Set(),
    surveys: [],
  };
  const news: Finding[] = [];
  const troubles: string[] = [];
  const shortages: FleetFacts['warmShortages'][number][] = [];
  const read = async (place: string, survey: Survey): Promise<Survey> => {
    places.surveys.push(place);
    if (places.failing.has(place)) throw new Error(`${place} is away`);
    if (places.hanging.has(place)) await new Promise(() => undefined);
    return survey;
  };
  const unknown = (orphans: readonly Orphan[], known: ReadonlySet<string>) =>
    orphans.filter(({ instanceId }) => instanceId === null || !known.has(instanceId));
  const engine: ReconcileEngine = {
    database,
    clusterId: 'default',
    holder: 'test',
    eventSource: 'urn:odoo-fleet',
    settings: { everyMs: 300_000, orphanQuarantineDays: 7, purgesAfterWindow: false },
    surveyors: {
      cluster: () =>
        read('cluster', {
          driftOf: ({ id }) => places.cluster.get(id) ?? [],
          seenOf: (id) => places.seen.get(id),
          orphans: (known) => unknown(places.clusterOrphans, known),
        }),
      server: ({ id: server }) =>
        read(`server ${server}`, {
          driftOf: ({ id }) => places.servers.get(server)?.get(id) ?? [],
          orphans: (known) => unknown(places.serverOrphans.get(server) ?? [], known),
        }),
    },
    warmShortages: async () => shortages,
    onFinding: (finding) => void news.push(finding),
    onTrouble: (what, error) => void troubles.push(`${what}: ${(error as Error).message}`),
    ...change,
  };
  return { engine, places, news, troubles, shortages };
}

/** One tick in which only this shard is due. */
export async function passOver(engine: ReconcileEngine, shard: string) {
  await makeDue(engine.database, [shard]);
  return await reconcileDueShards(engine, { budgetMs: 15_000 });
}

/** Only these shards are due. */
export async function makeDue(database: Database, shards: readonly string[]): Promise<void> {
  await database.query(
    `update reconcile_shards set holder = null, until = null,
       due_at = case when shard = any($1) then now() else 'infinity' end`,
    [shards],
  );
}

/** An instance that was brought about, on a server that is counted right. */
export async function insertMadeInstance(database: Database, id: string, serverId = 'one'): Promise<void> {
  const server = { id: serverId, host: 'db.example', port: 5432, adminUser: 'admin', secretKey: serverId };
  await upsertDatabaseServer(database, { ...server, sslMode: 'disable' }, { maxInstances: 1_000 });
  await database.query('update db_servers set reached_at = coalesce(reached_at, now()) where id = $1', [serverId]);
  await insertTestInstance(database, id);
  await database.query(
    `update instances set observed_generation = 1, status = 'running', db_server_id = $2 where id = $1`,
    [id, serverId],
  );
  await database.query('update db_servers set instance_count = instance_count + 1 where id = $1', [serverId]);
}

/** A queued operation; returns its id. */
export async function queueOperation(database: Database, instanceId: string, kind: OperationKind): Promise<string> {
  const id = newOperationId();
  await insertOperation(database, {
    id,
    instanceId,
    kind,
    definitionVersion: 1,
    deadlineMs: 600_000,
    idempotencyKey: id,
    requestedBy: 'urn:test',
    cause: 'event-1',
    request: {},
  });
  return id;
}

/** Now, or some time ago. */
export async function endOperation(database: Database, id: string, { agoMs = 0 } = {}): Promise<void> {
  await database.query(
    `update operations set state = 'succeeded', next_check_at = null,
       finished_at = clock_timestamp() - $2::integer * interval '1 ms' where id = $1`,
    [id, agoMs],
  );
}

export type StoredFinding = {
  kind: string;
  subject: string;
  shard: string;
  place: string;
  detail: string;
  is_open: boolean;
  repairs: number;
};

export async function storedFindings(database: Database): Promise<StoredFinding[]> {
  const { rows } = await database.query<StoredFinding>(
    `select kind, subject, shard, place, detail, resolved_at is null as is_open, repairs from findings
     order by kind, subject`,
  );
  return rows;
}

/** Rows of every table but the shards' own that were inserted, changed or deleted while `work` ran. */
export async function rowsWrittenBy(database: Database, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const { rows: tables } = await database.query<{ name: string }>(
    `select table_name::text as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'reconcile_shards'`,
  );
  const { rows } = await database.query<{ xid: number }>('select pg_current_xact_id()::text::bigint as xid');
  const since = rows[0]?.xid ?? 0;
  const count = async (name: string) => {
    const text = `select count(*)::integer as all,
      count(*) filter (where xmin::text::bigint >= $1)::integer as written from "${name}"`;
    return (await database.query<{ all: number; written: number }>(text, [since])).rows[0] ?? { all: 0, written: 0 };
  };
  const before = new Map<string, number>();
  for (const { name } of tables) before.set(name, (await count(name)).all);
  await work();
  const written: Record<string, number> = {};
  for (const { name } of tables) {
    const after = await count(name);
    const deleted = (before.get(name) ?? 0) + after.written - after.all;
    if (after.written > 0 || deleted > 0) written[name] = Math.max(after.written, deleted);
  }
  return written;
}
