-- Up Migration

alter table operations drop constraint operations_kind_check;
alter table operations add constraint operations_kind_check check (kind in (
  'provision', 'start', 'stop', 'restart', 'suspend', 'resume', 'terminate', 'undo', 'purge', 'repair'));
-- The operation that ended this one before its time: nothing was undone, the later one took it from there.
alter table operations add column overtaken_by uuid references operations (id) deferrable initially deferred;
-- The instance's generation when the operation had its first turn: what it brings about. A wish that came later is not its.
alter table operations add column generation bigint;

alter table instances
  -- The operation whose restart the pods must have seen.
  add column restarted_by uuid,
  -- The tombstone: since when, until when it can be undone, and what was wanted before.
  add column terminated_at timestamptz,
  add column purge_after timestamptz,
  add column desired_before text check (desired_before in ('running', 'stopped')),
  -- Bad news of the cluster that has not lasted long enough to be believed.
  add column observation text check (observation in ('unavailable', 'gone')),
  add column observation_reason text,
  add column observation_at timestamptz,
  add constraint instances_tombstone check (
    (terminated_at is null) = (purge_after is null) and (terminated_at is null) = (desired_before is null)),
  add constraint instances_observation check ((observation is null) = (observation_at is null));
create index instances_observation_waiting on instances (observation_at) where observation is not null;
create index instances_purge_after on instances (purge_after) where purged_at is null and purge_after is not null;

-- How long a termination can be undone.
alter table plans add column undo_days integer not null default 30 check (undo_days >= 0);

-- The newest that a source has said in one of its own ordered streams; what is older is recorded and not applied.
create table streams (
  source text not null,
  stream text not null,
  sequence bigint not null check (sequence >= 0),
  updated_at timestamptz not null default now(),
  primary key (source, stream)
);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
