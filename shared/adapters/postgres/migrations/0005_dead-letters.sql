-- Up Migration

-- Until now a row was an event that a function refused. Now it may also be a dead letter: an event that a broker could
-- not deliver.
alter table dead_events
  -- Where the broker wanted to deliver it (knativeerrordest), and what it was told there; null for refused events.
  add column origin text,
  add column error_code integer,
  add column error_data text,
  -- transient goes back by itself; permanent and unknown wait for a person.
  add column class text not null default 'permanent' check (class in ('transient', 'permanent', 'unknown')),
  -- waiting: for its time or for a person. replayed: a broker has it again. resolved: its function took it, or a person
  -- has dealt with it. given-up: replayed as often as allowed.
  add column state text not null default 'waiting' check (state in ('waiting', 'replayed', 'resolved', 'given-up')),
  add column replays integer not null default 0 check (replays >= 0),
  add column next_replay_at timestamptz,
  add column last_error text,
  -- False when only the beginning of the body was kept: such an event cannot be replayed.
  add column is_whole boolean not null default true,
  add constraint dead_events_due_when_transient
    check (next_replay_at is null or (state = 'waiting' and class = 'transient'));
create index dead_events_due on dead_events (next_replay_at) where next_replay_at is not null;
create index dead_events_open on dead_events (state, class) where state in ('waiting', 'given-up');
create index dead_events_closed on dead_events (replayed_at) where state in ('replayed', 'resolved');
create index dead_events_event on dead_events (id, source);

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
