-- Up Migration

alter table restores
  -- Of the side that went out: goes at removing it that failed in a row, and when it is looked at next. One that cannot be
  -- removed keeps no other waiting.
  add column drop_tries integer not null default 0 check (drop_tries >= 0),
  add column drop_after timestamptz;
drop index restores_kept;
create index restores_kept on restores (coalesce(drop_after, keep_until))
  where state = 'succeeded' and taken_back_by is null and dropped_at is null;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
