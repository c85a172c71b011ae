-- Up Migration

-- A copy of another instance for trying things out. It is one for good: what keeps it from the world is never taken away.
alter table instances add column cloned_from text references instances (id);
-- The backup it was made from: chosen when it was asked for.
alter table instances add column cloned_backup uuid references backups (id);
alter table instances add constraint instances_clone check (cloned_backup is null or cloned_from is not null);
alter table instances add constraint instances_no_clone_of_itself check (cloned_from <> id);
create index instances_cloned_from on instances (cloned_from) where cloned_from is not null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
