import type { Client } from 'pg';

/** Days since each kept backup of an instance was made, as the default plan keeps them: 7 days, 4 weeks, 3 months. */
const keptDaysAgo = [0, 1, 2, 3, 4, 5, 6, 13, 20, 27, 34, 65, 95, 125];
/** Backups of the last weeks that retention has removed since. Their rows stay. */
const deletedDaysAgo = [7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 28, 29, 30];

const insertText = `
  insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
    snapshot_at, manifest_key, manifest_sha256, dump_bytes, files_bytes, files_count, uploaded_bytes, proof, proof_at,
    deleted_at, delete_reason)
  select gen_random_uuid(), i.id, i.customer_id, 'scheduled', $3, 1, i.db_server_id,
    case when $3 = 'succeeded' then repeat('k', 120) end, at, at + interval '1 minute', at + interval '10 seconds',
    'backups/' || i.id || '/' || days || '/manifest', repeat('ab', 32), 20000000, 100000000, 1000, 100000,
    case when proven then 'proven' else 'none' end, case when proven then at + interval '1 hour' end,
    case when $3 = 'deleted' then at + interval '7 days' end, case when $3 = 'deleted' then 'retention' end
  from instances i
  -- in the order of time, as they come in life: the rows of one instance lie apart from each other
  cross join lateral (select days, clock_timestamp() - days * interval '1 day' as at, days in (0, 27) as proven
    from unnest($2::integer[]) as days) as point
  where i.id = any($1::text[])
  order by days desc, i.id`;

const operationsText = `
  insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key, requested_by,
    cause, request, created_at, started_at, finished_at)
  select id, instance_id, 'backup', 1, 'succeeded', finished_at, id, 'urn:bench', id, '{}', started_at, started_at, finished_at
  from backups where instance_id = any($1::text[]) order by started_at`;

const verificationsText = `
  insert into verifications (id, backup_id, instance_id, server_id, round, state, started_at, finished_at)
  select gen_random_uuid(), id, instance_id, server_id, 1, 'proven', proof_at, proof_at
  from backups where instance_id = any($1::text[]) and proof = 'proven'`;

/**
 * Gives the instances the backups of some months, the operations that made them, and keys: the newest of each is of this
 * moment and proven, so that nothing is due.
 */
export async function insertBackups(client: Client, instanceIds: readonly string[]): Promise<void> {
  await client.query(
    `insert into instance_keys (instance_id, files_key, collected_at, retain_at)
     select id, repeat('f', 120), clock_timestamp(), clock_timestamp() + interval '1 hour' * (1 + 23 * random())
     from unnest($1::text[]) as id`,
    [instanceIds],
  );
  await client.query(insertText, [instanceIds, deletedDaysAgo, 'deleted']);
  await client.query(insertText, [instanceIds, keptDaysAgo, 'succeeded']);
  await client.query(operationsText, [instanceIds]);
  await client.query(verificationsText, [instanceIds]);
}
