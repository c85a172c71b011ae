-- Up Migration

-- Nobody asks for instances by status, and the index kept every change of it from being a heap-only update. Room in each
-- page lets the new version of a row stay beside the old one.
drop index instances_status;
alter table instances set (fillfactor = 80);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
