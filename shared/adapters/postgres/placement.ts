import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import type { Database, Queryable } from './database.ts';
import { type DatabaseServerRow, toDatabaseServer } from './database-servers.ts';
import { underLock } from './operation-lock.ts';

const serverColumns = 's.id, s.host, s.port, s.admin_user, s.secret_key, s.ssl_mode';

async function serverOfInstance(transaction: Queryable, instanceId: string): Promise<DatabaseServerRow | undefined> {
  const { rows } = await transaction.query<DatabaseServerRow>(
    `select ${serverColumns} from instances i join db_servers s on s.id = i.db_server_id where i.id = $1`,
    [instanceId],
  );
  return rows[0];
}

// Picking, counting and noting are one statement on one locked row: two placements wait for each other, so the count
// can neither pass the capacity nor be wrong. Lowest priority first, then the emptiest.
const placeText = `
  with chosen as (
    select id from db_servers
    where status = 'active' and purpose = 'tenants' and reached_at is not null and instance_count < max_instances
    order by priority, instance_count, id
    limit 1 for update
  ), counted as (
    update db_servers as s set instance_count = instance_count + 1
    from chosen where s.id = chosen.id and s.instance_count < s.max_instances
    returning ${serverColumns}
  ), noted as (
    update instances set db_server_id = (select id from counted), updated_at = clock_timestamp()
    where id = $1 and exists (select 1 from counted)
  )
  select * from counted`;

async function place(transaction: Queryable, instanceId: string): Promise<DatabaseServer> {
  const current = await serverOfInstance(transaction, instanceId);
  if (current !== undefined) return toDatabaseServer(current);
  // A row that another placement has just filled is skipped by the re-check of the lock, which leaves none: look again.
  for (let round = 0; round < 3; round += 1) {
    const { rows } = await transaction.query<DatabaseServerRow>(placeText, [instanceId]);
    if (rows[0] !== undefined) return toDatabaseServer(rows[0]);
  }
  const { rows } = await transaction.query<{ active: number; unreached: number }>(
    `select count(*) filter (where status = 'active')::integer as active,
       count(*) filter (where status = 'active' and reached_at is null)::integer as unreached
     from db_servers where purpose = 'tenants'`,
  );
  const facts = { active: rows[0]?.active ?? 0, unreached: rows[0]?.unreached ?? 0 };
  throw new Failure(
    'no-capacity',
    `No Odoo PostgreSQL server has room (${facts.active} active, ${facts.unreached} of them never reached). ` +
      'Add a server or raise max_instances; the operation goes on by itself.',
    { facts },
  );
}

/** Placement in the platform's database. */
export function placement(database: Database): Placement {
  return {
    place: (operation, instanceId) => underLock(database, operation, (transaction) => place(transaction, instanceId)),
    release: (operation, instanceId) =>
      underLock(database, operation, async (transaction) => {
        await transaction.query(
          `with left_behind as (
               update instances as i set db_server_id = null, updated_at = clock_timestamp()
               from instances as old where i.id = $1 and old.id = i.id and i.db_server_id is not null
               returning old.db_server_id as server
             )
             update db_servers set instance_count = instance_count - 1
             where id = (select server from left_behind)`,
          [instanceId],
        );
      }),
  };
}
