-- Up Migration

-- What is not as the records want it: one row per kind and subject, kept when it is over.
create table findings (
  kind text not null,
  -- An instance's id, or what it is and its name.
  subject text not null check (length(subject) between 1 and 300),
  -- Whose pass writes it: the first character of an instance's id, or 'fleet'.
  shard text not null check (shard ~ '^([a-z2-7]|fleet)$'),
  -- Where it was seen: records, cluster, or 'server <id>'.
  place text not null,
  -- No reference: an orphan's instance has no row.
  instance_id text,
  detail text not null,
  -- Of this time; a finding that comes back begins anew.
  first_seen timestamptz not null default clock_timestamp(),
  -- When it was last written as found. A pass that finds what it knows writes nothing.
  last_seen timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  -- Operations asked for because of it.
  repairs integer not null default 0 check (repairs >= 0),
  next_repair_at timestamptz,
  primary key (kind, subject)
);
create index findings_open on findings (shard) where resolved_at is null;
create index findings_instance on findings (instance_id) where instance_id is not null;
create index findings_resolved on findings (resolved_at) where resolved_at is not null;

-- When each part of the fleet is looked at next, and by whom it is being looked at.
create table reconcile_shards (
  shard text primary key check (shard ~ '^([a-z2-7]|fleet)$'),
  due_at timestamptz not null default now(),
  holder text,
  until timestamptz,
  passed_at timestamptz,
  -- Places that the last pass could not read.
  blind text[] not null default '{}',
  constraint reconcile_shards_holder check ((holder is null) = (until is null))
);
insert into reconcile_shards (shard)
  select unnest(string_to_array('a b c d e f g h i j k l m n o p q r s t u v w x y z 2 3 4 5 6 7 fleet', ' '));

-- Instances of a shard, page by page, whatever the database's collation.
create index instances_shard on instances ((left(id, 1)), id);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
