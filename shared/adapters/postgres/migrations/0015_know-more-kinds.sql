-- Up Migration

alter table operations drop constraint operations_kind_check;
alter table operations add constraint operations_kind_check check (kind in (
  'provision', 'start', 'stop', 'restart', 'suspend', 'resume', 'terminate', 'undo', 'purge', 'repair', 'backup', 'verify',
  'restore', 'clone', 'import', 'export'));

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
