-- Up Migration

alter table operations drop constraint operations_kind_check;
alter table operations add constraint operations_kind_check check (kind in (
  'provision', 'start', 'stop', 'restart', 'suspend', 'resume', 'terminate', 'undo', 'purge', 'repair', 'backup', 'verify'));
-- How far a Job has come, as it reports it. For people; nothing is decided by it.
alter table operations add column progress jsonb;

alter table db_servers
  -- A server for verifications never holds an instance.
  add column purpose text not null default 'tenants' check (purpose in ('tenants', 'verification')),
  -- Backups, or verifications, that may run on it at a time.
  add column backup_slots integer not null default 2 check (backup_slots >= 0),
  add constraint db_servers_verification_is_empty check (purpose = 'tenants' or instance_count = 0);

alter table plans
  -- 0: only those that are asked for.
  add column backup_hours integer not null default 24 check (backup_hours between 0 and 8760),
  add column keep_daily integer not null default 7 check (keep_daily between 0 and 366),
  add column keep_weekly integer not null default 4 check (keep_weekly between 0 and 520),
  add column keep_monthly integer not null default 3 check (keep_monthly between 0 and 120),
  -- Within so many days one of the instance's backups is restored and looked at. 0: only the final one.
  add column verify_days integer not null default 7 check (verify_days between 0 and 366);

-- The key that an instance's files are encrypted with and named by, wrapped by a key of the key ring.
create table instance_keys (
  instance_id text primary key references instances (id),
  files_key text not null,
  created_at timestamptz not null default clock_timestamp(),
  -- Somebody removes files of the instance that no backup names: no backup begins before this is over.
  collected_by text,
  collecting_until timestamptz,
  -- When that was last done whole.
  collected_at timestamptz,
  constraint instance_keys_collector check ((collected_by is null) = (collecting_until is null))
);

-- A running row is the intent: while it is there nothing of the instance's files is removed.
create table backups (
  -- Of the operation that made it. No reference: a backup may outlive the record of its operation.
  id uuid primary key,
  instance_id text not null references instances (id),
  customer_id text not null references customers (id),
  kind text not null check (kind in ('manual', 'scheduled', 'before-upgrade', 'before-restore', 'final')),
  state text not null check (state in ('running', 'succeeded', 'failed', 'deleting', 'deleted')),
  -- The Job that makes it, or made it: one that was lost is begun anew under the next number.
  round integer not null check (round > 0),
  -- The server whose slot it takes while it runs.
  server_id text not null references db_servers (id),
  -- Wrapped, of this dump alone; forgotten when the backup is deleted.
  dump_key text,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  -- The moment whose state of the data it holds.
  snapshot_at timestamptz,
  manifest_key text,
  manifest_sha256 text check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  -- What people want to see of the manifest.
  summary jsonb not null default '{}' check (jsonb_typeof(summary) = 'object'),
  dump_bytes bigint check (dump_bytes >= 0),
  -- All files it names, and those among them that had to be uploaded.
  files_bytes bigint check (files_bytes >= 0),
  files_count bigint check (files_count >= 0),
  uploaded_bytes bigint check (uploaded_bytes >= 0),
  previous_id uuid references backups (id),
  error_code text,
  error_text text,
  -- `proven`: restored and looked at. `refuted`: restoring it showed that it is not what its manifest says.
  proof text not null default 'none' check (proof in ('none', 'proven', 'refuted')),
  proof_at timestamptz,
  -- The operation that verified it last.
  proof_by uuid,
  proof_text text,
  -- Odoo was started on it and answered.
  odoo_booted boolean not null default false,
  -- Retention leaves it alone before this, whatever else it keeps.
  keep_until timestamptz,
  -- The object store refuses to delete it before this.
  locked_until timestamptz,
  deleted_at timestamptz,
  delete_reason text,
  constraint backups_success check (state not in ('succeeded', 'deleting') or (finished_at is not null
    and snapshot_at is not null and manifest_key is not null and manifest_sha256 is not null)),
  constraint backups_dump_key check (dump_key is not null or state in ('failed', 'deleted')),
  constraint backups_failure check (state <> 'failed' or (finished_at is not null and error_code is not null and error_text is not null)),
  constraint backups_proof check ((proof = 'none') = (proof_at is null)),
  constraint backups_deletion check (state not in ('deleting', 'deleted') or delete_reason is not null),
  constraint backups_deleted_at check ((state = 'deleted') = (deleted_at is not null))
);
create index backups_instance on backups (instance_id, started_at);
create index backups_running on backups (server_id) where state = 'running';
create index backups_deleting on backups (id) where state = 'deleting';
-- The points an instance can be restored to, newest first.
create index backups_kept on backups (instance_id, snapshot_at desc) where state = 'succeeded';
create index backups_proven on backups (instance_id, snapshot_at desc) where state = 'succeeded' and proof = 'proven';
create index backups_failed on backups (finished_at) where error_code is not null;

-- Restores of backups into databases of their own, to look at them.
create table verifications (
  -- Of the operation.
  id uuid primary key,
  backup_id uuid not null references backups (id),
  instance_id text not null references instances (id),
  -- The server whose slot it takes while it runs.
  server_id text not null references db_servers (id),
  round integer not null check (round > 0),
  -- `failed`: it could not be told whether the backup is good.
  state text not null check (state in ('running', 'proven', 'refuted', 'failed')),
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  odoo_booted boolean not null default false,
  -- What differs from the manifest.
  differences jsonb not null default '[]' check (jsonb_typeof(differences) = 'array'),
  error_code text,
  error_text text,
  constraint verifications_end check ((state = 'running') = (finished_at is null)),
  constraint verifications_failure check (state <> 'failed' or (error_code is not null and error_text is not null))
);
create index verifications_backup on verifications (backup_id, started_at);
create index verifications_instance on verifications (instance_id, started_at);
create index verifications_running on verifications (server_id) where state = 'running';

-- What time has asked for, per instance and task, until it is there; asked again with growing pauses.
create table backup_requests (
  instance_id text not null references instances (id),
  task text not null check (task in ('backup', 'verify')),
  -- What it is for: a turn of the schedule, or a backup's id. Another subject begins anew.
  subject text not null,
  requests integer not null check (requests > 0),
  event_id uuid not null,
  asked_at timestamptz not null default clock_timestamp(),
  next_at timestamptz not null,
  primary key (instance_id, task)
);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
