import type { DatabaseServer, ServerPurpose } from '#shared/domain/instance/instance.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** An Odoo PostgreSQL server and how full it is. */
export type DatabaseServerRecord = {
  server: DatabaseServer;
  status: 'active' | 'maintenance' | 'error';
  purpose: ServerPurpose;
  /** Backups, or verifications, that may run on it at a time. */
  backupSlots: number;
  instanceCount: number;
  maxInstances: number;
  /** Lower is chosen first. */
  priority: number;
  /** When it was last reached with its key; it is placeable from then on. */
  reachedAt: Date | null;
  /** PostgreSQL's `server_version_num`, such as 150018. */
  serverVersion: number | null;
};

/** The active servers, in the order they are chosen. */
export async function listActiveDatabaseServers(queryable: Queryable): Promise<DatabaseServerRecord[]> {
  const { rows } = await queryable.query<Row<'db_servers'>>(
    "select * from db_servers where status = 'active' order by priority, id",
  );
  return rows.map(toRecord);
}

/** The server, whatever its status, or undefined. */
export async function findDatabaseServer(queryable: Queryable, id: string): Promise<DatabaseServerRecord | undefined> {
  const { rows } = await queryable.query<Row<'db_servers'>>('select * from db_servers where id = $1', [id]);
  return rows.map(toRecord)[0];
}

/** The server was reached with its key: it may be chosen from now on. */
export async function recordReached(
  queryable: Queryable,
  id: string,
  { serverVersion }: { serverVersion: number },
): Promise<void> {
  await queryable.query('update db_servers set reached_at = now(), server_version = $2 where id = $1', [
    id,
    serverVersion,
  ]);
}

/** The columns of `db_servers` that name a server. */
export type DatabaseServerRow = Pick<
  Row<'db_servers'>,
  'id' | 'host' | 'port' | 'admin_user' | 'secret_key' | 'ssl_mode'
>;

/** The server of a row. */
export function toDatabaseServer(row: DatabaseServerRow): DatabaseServer {
  return {
    id: row.id,
    host: row.host,
    port: row.port,
    adminUser: row.admin_user,
    secretKey: row.secret_key,
    sslMode: row.ssl_mode,
  };
}

function toRecord(row: Row<'db_servers'>): DatabaseServerRecord {
  return {
    server: toDatabaseServer(row),
    status: row.status,
    purpose: row.purpose,
    backupSlots: row.backup_slots,
    instanceCount: row.instance_count,
    maxInstances: row.max_instances,
    priority: row.priority,
    reachedAt: row.reached_at,
    serverVersion: row.server_version,
  };
}

/**
 * Seeds a server, or changes it. One whose address, user or key changed has to be reached again before it is chosen.
 * @throws Failure `constraint-violated` when `maxInstances` is less than what is on it, or one with instances is to be
 * for verifications.
 */
export async function upsertDatabaseServer(
  queryable: Queryable,
  server: DatabaseServer,
  options: Partial<Pick<DatabaseServerRecord, 'maxInstances' | 'priority' | 'status' | 'purpose' | 'backupSlots'>> = {},
): Promise<void> {
  const { maxInstances = 50, priority = 100, status = 'active', purpose = 'tenants', backupSlots = 2 } = options;
  await queryable.query(
    `insert into db_servers (id, host, port, admin_user, secret_key, ssl_mode, max_instances, priority, status,
       purpose, backup_slots)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (id) do update
       set host = excluded.host, port = excluded.port, admin_user = excluded.admin_user,
           secret_key = excluded.secret_key, ssl_mode = excluded.ssl_mode, max_instances = excluded.max_instances,
           priority = excluded.priority, status = excluded.status,
           purpose = excluded.purpose, backup_slots = excluded.backup_slots,
           reached_at = case
             when (db_servers.host, db_servers.port, db_servers.admin_user, db_servers.secret_key, db_servers.ssl_mode)
                = (excluded.host, excluded.port, excluded.admin_user, excluded.secret_key, excluded.ssl_mode)
             then db_servers.reached_at
           end`,
    [
      server.id,
      server.host,
      server.port,
      server.adminUser,
      server.secretKey,
      server.sslMode,
      maxInstances,
      priority,
      status,
      purpose,
      backupSlots,
    ],
  );
}
