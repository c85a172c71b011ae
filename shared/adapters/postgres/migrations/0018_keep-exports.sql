-- Up Migration

-- Zips of backups in Odoo's own format, for customers to download.
create table exports (
  -- Of the operation.
  id uuid primary key,
  instance_id text not null references instances (id),
  -- While it runs the backup is not deleted.
  backup_id uuid not null references backups (id),
  -- `deleting`: its key is forgotten, its objects may still be there.
  state text not null check (state in ('running', 'ready', 'failed', 'deleting', 'deleted')),
  -- The Job that makes it, from 1: one that was lost is begun anew under the next number.
  round integer not null check (round > 0),
  -- What the archive is encrypted with, wrapped; forgotten before its objects are removed.
  archive_key text,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  object_key text,
  -- Of the zip, before encryption.
  bytes bigint check (bytes >= 0),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  files bigint check (files >= 0),
  -- It can be downloaded before, and is deleted after.
  expires_at timestamptz,
  downloads integer not null default 0 check (downloads >= 0),
  downloaded_at timestamptz,
  deleted_at timestamptz,
  error_code text,
  error_text text,
  constraint exports_end check ((state = 'running') = (finished_at is null)),
  constraint exports_key check ((archive_key is not null) = (state in ('running', 'ready'))),
  constraint exports_ready check (state <> 'ready' or (object_key is not null and bytes is not null
    and sha256 is not null and files is not null and expires_at is not null)),
  constraint exports_failure check (state <> 'failed' or (error_code is not null and error_text is not null)),
  constraint exports_deleted check ((state = 'deleted') = (deleted_at is not null))
);
create index exports_backup on exports (backup_id) where state = 'running';
create index exports_instance on exports (instance_id, started_at);
create index exports_to_delete on exports (expires_at) where state in ('ready', 'failed', 'deleting');

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
