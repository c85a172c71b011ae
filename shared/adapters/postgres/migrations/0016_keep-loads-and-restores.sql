-- Up Migration

-- What an operation has loaded beside what is live: of a restore, a clone or an import.
create table loads (
  -- Of the operation.
  id uuid primary key,
  instance_id text not null references instances (id),
  server_id text not null references db_servers (id),
  -- Null: it is loaded from something else than a backup of ours. While it runs the backup is not deleted.
  backup_id uuid references backups (id),
  -- The Job that does it, from 1: one that was lost is begun anew under the next number.
  round integer not null check (round > 0),
  -- What passwords and signatures of its Jobs are derived from, wrapped.
  job_key text not null,
  state text not null check (state in ('running', 'loaded', 'failed')),
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  -- What the Job said.
  result jsonb,
  error_code text,
  error_text text,
  constraint loads_end check ((state = 'running') = (finished_at is null)),
  constraint loads_success check (state <> 'loaded' or result is not null),
  constraint loads_failure check (state <> 'failed' or (error_code is not null and error_text is not null))
);
create index loads_backup on loads (backup_id) where state = 'running';
create index loads_instance on loads (instance_id, started_at);

alter table plans
  -- How long the side that a restore took out is kept.
  add column undo_restore_hours integer not null default 72 check (undo_restore_hours between 1 and 8760);

create table restores (
  -- Of the operation.
  id uuid primary key,
  instance_id text not null references instances (id),
  server_id text not null references db_servers (id),
  -- What becomes live: a backup, or the side that another restore took out.
  backup_id uuid references backups (id),
  undoes uuid references restores (id),
  -- `switched`: the database is exchanged, the files are about to be.
  state text not null check (state in ('running', 'switched', 'succeeded', 'failed')),
  -- The Job that exchanges the folders, from 1.
  round integer not null check (round > 0),
  job_key text not null,
  started_at timestamptz not null default clock_timestamp(),
  switched_at timestamptz,
  -- The files are exchanged, too.
  swapped_at timestamptz,
  finished_at timestamptz,
  -- Of the side that went out: nothing of it is removed before.
  keep_until timestamptz,
  -- From here on it is being removed and cannot be taken back.
  dropping_at timestamptz,
  dropped_at timestamptz,
  -- The restore that made the side that went out live again.
  taken_back_by uuid references restores (id),
  error_code text,
  error_text text,
  constraint restores_source check ((backup_id is null) <> (undoes is null)),
  constraint restores_switch check (state not in ('switched', 'succeeded') or switched_at is not null),
  constraint restores_success check (state <> 'succeeded' or (finished_at is not null and keep_until is not null)),
  constraint restores_failure check (state <> 'failed' or (error_code is not null and error_text is not null)),
  constraint restores_dropping check (dropping_at is null or state = 'succeeded'),
  constraint restores_dropped check (dropped_at is null or dropping_at is not null)
);
create index restores_instance on restores (instance_id, started_at);
-- Sides that went out and are still there.
create index restores_kept on restores (keep_until) where state = 'succeeded' and taken_back_by is null and dropped_at is null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
