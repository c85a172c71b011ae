import type { Queryable } from './database.ts';

/** What a caller must know to ask something of an instance. */
export type VisibleInstance = {
  id: string;
  generation: number;
  desiredState: 'running' | 'stopped' | 'terminated';
  isSuspended: boolean;
  settings: Readonly<Record<string, string | number | boolean>>;
};

type Whose = { customerId: string | null };

/** An instance that this customer may name; null: anybody's. Undefined when there is none, or it is another's. */
export async function findVisibleInstance(
  queryable: Queryable,
  instanceId: string,
  { customerId }: Whose,
): Promise<VisibleInstance | undefined> {
  const { rows } = await queryable.query<VisibleInstance>(
    `select i.id, i.generation, i.desired_state as "desiredState", i.settings,
       exists (select from suspensions s where s.instance_id = i.id and s.closed_at is null) as "isSuspended"
     from instances i where i.id = $1 and ($2::text is null or i.customer_id = $2)`,
    [instanceId, customerId],
  );
  return rows[0];
}

/** Whose backup it is, of those this customer may name. */
export async function findInstanceOfBackup(
  queryable: Queryable,
  backupId: string,
  { customerId }: Whose,
): Promise<string | undefined> {
  const { rows } = await queryable.query<{ instance_id: string }>(
    `select b.instance_id from backups b join instances i on i.id = b.instance_id
     where b.id = $1 and ($2::text is null or i.customer_id = $2)`,
    [backupId, customerId],
  );
  return rows[0]?.instance_id;
}

/**
 * Writes settings that are wanted from now on: a new generation, to be brought about by an operation of the same
 * transaction.
 */
export async function writeSettings(
  transaction: Queryable,
  instanceId: string,
  settings: VisibleInstance['settings'],
): Promise<void> {
  await transaction.query(
    `with forgotten as (delete from observations where instance_id = $1)
     update instances set settings = $2, generation = generation + 1, updated_at = clock_timestamp() where id = $1`,
    [instanceId, JSON.stringify(settings)],
  );
}
