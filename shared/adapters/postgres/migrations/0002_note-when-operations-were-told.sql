-- Up Migration

-- When the tick last sent an advance for it; cleared when its lease is taken. Apart from next_check_at, which goes on
-- saying since when the operation is due: one that is told and not taken goes past the broker.
alter table operations add column told_at timestamptz;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
