import type { Plan } from '#shared/domain/instance/instance.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** The plan, or undefined. */
export async function findPlan(queryable: Queryable, id: string): Promise<Plan | undefined> {
  const { rows } = await queryable.query<Row<'plans'>>('select * from plans where id = $1', [id]);
  return rows[0] === undefined ? undefined : toPlan(rows[0]);
}

/** The plan of a row. */
export function toPlan(row: Omit<Row<'plans'>, 'created_at'>): Plan {
  return {
    id: row.id,
    cpuMillis: row.cpu_millis,
    memoryMib: row.memory_mib,
    diskGib: row.disk_gib,
    workers: row.workers,
    cronThreads: row.cron_threads,
    databaseConnections: row.database_connections,
    replicas: row.replicas,
  };
}

/** Seeds a plan, or changes it; instances that exist get the change with their next update. */
export async function upsertPlan(queryable: Queryable, plan: Plan): Promise<void> {
  await queryable.query(
    `insert into plans (id, cpu_millis, memory_mib, disk_gib, workers, cron_threads, database_connections, replicas)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (id) do update
       set cpu_millis = excluded.cpu_millis, memory_mib = excluded.memory_mib, disk_gib = excluded.disk_gib,
           workers = excluded.workers, cron_threads = excluded.cron_threads,
           database_connections = excluded.database_connections, replicas = excluded.replicas`,
    [
      plan.id,
      plan.cpuMillis,
      plan.memoryMib,
      plan.diskGib,
      plan.workers,
      plan.cronThreads,
      plan.databaseConnections,
      plan.replicas,
    ],
  );
}
