import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { Correction, Entry, RecordedInstance } from '#shared/domain/platform/rebuild.ts';

/** Who writes into the records here. */
export const actor = 'platform rebuild';
const cause = 'urn:odoo-fleet:platform-rebuild';

export async function readInstances(queryable: Queryable): Promise<RecordedInstance[]> {
  const { rows } = await queryable.query<RecordedInstance>(
    `select i.id, desired_state as "desiredState", status, host, db_server_id as "serverId", restarted_by as "restartedBy",
       observed_generation > 0 as "isMade", purged_at is not null as "isPurged",
       terminated_at as "terminatedAt",
       array(select s.reason from suspensions s where s.instance_id = i.id and s.closed_at is null order by 1) as suspensions,
       array(select o.kind from operations o where o.instance_id = i.id
         and o.state in ('queued', 'running', 'waiting') order by o.created_at, o.id) as "underWay"
     from instances i order by i.id`,
  );
  return rows;
}

// What was wanted with this generation is there: it was seen.
const correctText = `
  update instances set
    desired_state = coalesce($2, desired_state), status = coalesce($3, status),
    status_reason = case when $3::text is null then status_reason end,
    host = case when $4 then $5 else host end,
    restarted_by = coalesce($6, restarted_by),
    desired_before = case $7 when 'set' then case desired_state when 'stopped' then 'stopped' else 'running' end
      when 'lifted' then null else desired_before end,
    terminated_at = case $7 when 'set' then clock_timestamp() when 'lifted' then null else terminated_at end,
    purge_after = case $7
      when 'set' then clock_timestamp() + (select undo_days from plans where id = plan_id) * interval '1 day'
      when 'lifted' then null else purge_after end,
    purged_at = case when $8 then coalesce(purged_at, clock_timestamp()) else purged_at end,
    db_server_id = case when $8 then null else db_server_id end,
    generation = generation + 1, observed_generation = generation + 1, updated_at = clock_timestamp()
  where id = $1`;

/** Hosts that become free are freed before others are taken: apply those of the ended first. */
export async function correct(transaction: Queryable, correction: Correction): Promise<void> {
  const {
    instanceId,
    why,
    desiredState = null,
    status = null,
    host,
    restartedBy = null,
    tombstone = null,
  } = correction;
  const isPurged = correction.isPurged === true;
  const values = [instanceId, desiredState, status, host !== undefined, host ?? null, restartedBy, tombstone, isPurged];
  await transaction.query('delete from observations where instance_id = $1', [instanceId]);
  if (correction.serverId !== undefined) {
    const text = 'update instances set db_server_id = $2 where id = $1 and db_server_id is null';
    await transaction.query(text, [instanceId, correction.serverId]);
  }
  // one that is being made is made by its own operation
  if (status !== null) await transaction.query(correctText, values);
  if (correction.closesSuspensions === true) {
    const text = 'update suspensions set closed_at = clock_timestamp() where instance_id = $1 and closed_at is null';
    await transaction.query(text, [instanceId]);
  }
  if (correction.opens !== undefined) await suspend(transaction, instanceId, correction.opens);
  await appendAudit(transaction, { actor, action: 'instance.corrected', instanceId, detail: { why } });
}

async function suspend(transaction: Queryable, instanceId: string, reason: string): Promise<void> {
  await transaction.query(
    `insert into suspensions (instance_id, reason, cause) values ($1, $2, $3)
     on conflict (instance_id, reason) where closed_at is null do nothing`,
    [instanceId, reason, cause],
  );
}

// undefined plans and images are found by the join: then nothing is entered
const enterText = `
  insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, db_server_id, modules, settings,
    admin_login, language, desired_state, status, restarted_by, generation, observed_generation,
    terminated_at, purge_after, desired_before, cloned_from)
  select $1, $2, $3, $4, c.id, p.id, m.id, $8, $9, $10, $11, $12, $13, $14, $15, 1, 1,
    case when $16 then clock_timestamp() end,
    case when $16 then clock_timestamp() + p.undo_days * interval '1 day' end, case when $16 then 'running' end, $17
  from clusters c, plans p, images m where c.id = $5 and p.id = $6 and m.id = $7
  on conflict (id) do nothing`;

/** undefined when it was entered, else why it was not. */
export async function enter(
  transaction: Queryable,
  entry: Entry,
  { clusterId }: { clusterId: string },
): Promise<string | undefined> {
  const { instanceId, record, why } = entry;
  await transaction.query('insert into customers (id) values ($1) on conflict (id) do nothing', [record.customer]);
  const { clonedFrom } = record;
  if (clonedFrom !== undefined) {
    const source = await transaction.query('select from instances where id = $1', [clonedFrom]);
    if (source.rowCount === 0)
      return `Instance ${instanceId} is a copy of ${clonedFrom}, which has no row: it was not entered.`;
  }
  const taken = await transaction.query<{ id: string }>('select id from instances where host = $1', [entry.host]);
  const owner = taken.rows[0]?.id;
  if (owner !== undefined) {
    return `Instance ${instanceId} was made since under ${entry.host}, which the row of ${owner} has: it was not entered.`;
  }
  const { rowCount } = await transaction.query(enterText, [
    instanceId,
    record.customer,
    record.name,
    entry.host,
    clusterId,
    record.plan,
    record.image,
    entry.serverId,
    record.modules,
    JSON.stringify(record.settings),
    record.login,
    record.language,
    entry.desiredState,
    entry.status,
    entry.restartedBy,
    entry.isTerminated,
    record.clonedFrom ?? null,
  ]);
  if (rowCount === 0) {
    return (
      `Instance ${instanceId} was made since, with plan ${record.plan} and image ${record.image}, which the records do not ` +
      `have (or cluster ${clusterId}): add them and run this again.`
    );
  }
  if (entry.suspendedFor !== undefined) await suspend(transaction, instanceId, entry.suspendedFor);
  await appendAudit(transaction, { actor, action: 'instance.entered', instanceId, detail: { why } });
  return undefined;
}

/**
 * More takings than an instance can have had between the backup and the loss: a holder of that time that still lives, and
 * has not shown its fence anywhere, stays behind the next one.
 */
const fenceMargin = 1_000_000;

/** Above everything that servers and the cluster hold, for every instance. Returns how many were raised. */
export async function raiseFences(
  transaction: Queryable,
  seen: ReadonlyMap<string, { fence: number }>,
): Promise<number> {
  const ids = [...seen.keys()];
  const { rowCount } = await transaction.query(
    `update instances i set fence_floor = $3::bigint + greatest(i.fence_floor, coalesce(s.fence, 0),
       coalesce((select max(o.fence) from operations o where o.instance_id = i.id), 0))
     from instances j left join unnest($1::text[], $2::bigint[]) as s (id, fence) on s.id = j.id
     where i.id = j.id and i.purged_at is null`,
    [ids, ids.map((id) => seen.get(id)?.fence ?? 0), fenceMargin],
  );
  return rowCount;
}
