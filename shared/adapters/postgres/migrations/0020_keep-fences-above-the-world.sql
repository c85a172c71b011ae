-- Up Migration

-- Operations of the instance get fences above this one only: what the other stores hold may be ahead of records that were
-- restored from a backup.
alter table instances add column fence_floor bigint not null default 0 check (fence_floor >= 0);
