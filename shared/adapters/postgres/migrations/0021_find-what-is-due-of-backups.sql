-- Up Migration

-- What a tick does about backups is found by when it is due: it costs what is due, not what the fleet has.
alter table instance_keys
  -- When retention looks at the instance's backups next.
  add column retain_at timestamptz not null default clock_timestamp(),
  -- When its files are gone through next, for those that no backup names; null: no backup was deleted since.
  add column collect_at timestamptz;
-- Not all at once.
update instance_keys set retain_at = clock_timestamp() + random() * interval '1 day';
update instance_keys k set collect_at = coalesce(k.collected_at + interval '3 days', clock_timestamp())
where exists (select 1 from backups b where b.instance_id = k.instance_id and b.state = 'deleted'
  and b.deleted_at > coalesce(k.collected_at, '-infinity'));
create index instance_keys_retain on instance_keys (retain_at);
create index instance_keys_collect on instance_keys (collect_at) where collect_at is not null;

-- The last one that was looked at. Rows of deleted backups stay, and are not to be read for it.
create index backups_looked on backups (instance_id, proof_at desc) where proof <> 'none';
create index backups_failures on backups (instance_id, started_at) where error_code is not null;
create index backups_refuted on backups (id) where state = 'succeeded' and proof = 'refuted';
-- With what the gauges sum up.
drop index backups_kept;
create index backups_kept on backups (instance_id, snapshot_at desc) include (proof, dump_bytes) where state = 'succeeded';

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
