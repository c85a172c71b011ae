import { Failure } from '#shared/domain/failure.ts';
import type { Instance, InstanceStatus, SuspensionReason } from '#shared/domain/instance/instance.ts';
import { type InstanceEvent, statusAfter } from '#shared/domain/instance/transitions.ts';
import type { Queryable } from './database.ts';
import { type DatabaseServerRow, toDatabaseServer } from './database-servers.ts';
import { toImage } from './images.ts';
import { type InstanceColumns, provenDomains, toInstance } from './instance-columns.ts';
import { openSuspensions } from './instance-facts.ts';
import { toPlan } from './plans.ts';
import type { Row } from './rows.ts';

// What refers to other tables comes as JSON: dates in it would be text, so they are left out of the types.
type InstanceRow = InstanceColumns & {
  scheme: string;
  public_port: number | null;
  plan: Omit<Row<'plans'>, 'created_at'>;
  image: Omit<Row<'images'>, 'created_at'>;
  server: DatabaseServerRow | null;
};

// One round trip: the row with what it refers to.
const readText = `
  select i.id, i.customer_id, i.name, i.host, i.cluster_id, i.desired_state, i.status, i.generation,
    i.observed_generation, i.modules, i.settings, i.admin_login, i.language, i.restarted_by, i.cloned_from, c.scheme, c.public_port,
    ${openSuspensions}, ${provenDomains},
    to_jsonb(p) as plan, to_jsonb(m) as image, to_jsonb(s) as server
  from instances i
  join clusters c on c.id = i.cluster_id
  join plans p on p.id = i.plan_id
  join images m on m.id = i.image_id
  left join db_servers s on s.id = i.db_server_id
  where i.id = $1`;

/** An instance and how the world reaches it. */
export type LoadedInstance = { instance: Instance; publicUrl: string };

/** Reads an instance with its plan, image and server. @throws Failure `not-found`. */
export async function readInstance(queryable: Queryable, instanceId: string): Promise<LoadedInstance> {
  const { rows } = await queryable.query<InstanceRow>(readText, [instanceId]);
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', `There is no instance ${instanceId}.`);
  const port = row.public_port === null ? '' : `:${row.public_port}`;
  return {
    publicUrl: `${row.scheme}://${row.host ?? ''}${port}`,
    instance: toInstance(row, {
      plan: toPlan(row.plan),
      image: toImage(row.image),
      databaseServer: row.server === null ? null : toDatabaseServer(row.server),
    }),
  };
}

/** A change of status that took place. */
export type StatusChange = { from: InstanceStatus; to: InstanceStatus; generation: number; customerId: string };

/**
 * Moves an instance along the transition table, deciding from its locked row. Undefined when the table has no such
 * row: nothing is written then.
 */
export async function moveInstance(
  transaction: Queryable,
  instanceId: string,
  change: { event: InstanceEvent; reason: string | null },
): Promise<StatusChange | undefined> {
  const { rows } = await transaction.query<FactsRow>(lockText, [instanceId]);
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', `There is no instance ${instanceId}.`);
  const to = statusAfter(row.status, change.event, {
    desiredState: row.desired_state,
    suspensions: row.suspensions,
    generation: row.generation,
    observedGeneration: row.observed_generation,
  });
  if (to === undefined) return undefined;
  await transaction.query(
    `with forgotten as (delete from observations where instance_id = $1)
     update instances set status = $2, status_reason = $3, updated_at = clock_timestamp() where id = $1`,
    [instanceId, to, change.reason],
  );
  return { from: row.status, to, generation: row.generation, customerId: row.customer_id };
}

type FactsRow = Pick<
  Row<'instances'>,
  'status' | 'desired_state' | 'generation' | 'observed_generation' | 'customer_id'
> & { suspensions: SuspensionReason[] };

const lockText = `select i.status, i.desired_state, i.generation, i.observed_generation, i.customer_id, ${openSuspensions}
  from instances i where i.id = $1 for update of i`;

/** What was wanted with this generation has been brought about. */
export async function markObserved(transaction: Queryable, instanceId: string, generation: number): Promise<void> {
  await transaction.query(
    `update instances set observed_generation = $2, updated_at = clock_timestamp()
     where id = $1 and observed_generation < $2`,
    [instanceId, generation],
  );
}

/** Ends an instance that was never made and of which nothing is left: its name is free, and there is nothing to undo. */
export async function endUnmade(transaction: Queryable, instanceId: string): Promise<void> {
  await transaction.query(
    `update instances set host = null, desired_state = 'terminated', purged_at = clock_timestamp(),
       updated_at = clock_timestamp()
     where id = $1`,
    [instanceId],
  );
}

/** The data of a terminated instance is gone for good. */
export async function markPurged(transaction: Queryable, instanceId: string): Promise<void> {
  await transaction.query(
    `update instances set purged_at = coalesce(purged_at, clock_timestamp()), updated_at = clock_timestamp()
     where id = $1`,
    [instanceId],
  );
}
