-- Up Migration

-- Bad news about an instance that is not believed yet; one that has become its status, or that an operation has
-- overtaken, is forgotten. It comes and goes with every restart of a pod: as indexed columns of `instances` each change
-- of it was written to every index of that table.
create table observations (
  -- No reference: a row is written only under the lock of its instance, and instances are never deleted.
  instance_id text primary key,
  what text not null check (what in ('unavailable', 'gone')),
  reason text not null,
  at timestamptz not null
);
insert into observations (instance_id, what, reason, at)
  select id, observation, coalesce(observation_reason, ''), observation_at from instances where observation is not null;

drop index instances_observation_waiting;
alter table instances drop column observation, drop column observation_reason, drop column observation_at;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
