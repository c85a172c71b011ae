-- Up Migration

-- Keys are a source's, whatever it sends, and there may be several: two while one is replaced by the other.
create table source_keys (
  source text not null,
  key_id text not null check (key_id ~ '^[A-Za-z0-9._~-]{1,64}$'),
  public_key text not null check (length(public_key) <= 4096 and public_key !~ 'PRIVATE KEY'),
  created_at timestamptz not null default now(),
  primary key (source, key_id)
);
insert into source_keys (source, key_id, public_key)
  select distinct on (source, key_id) source, key_id, public_key from sources
  where key_id is not null and public_key is not null
  order by source, key_id, created_at desc;

-- event_type may be '*'; the row of the exact type goes before it. must_sign: only with a signature by a key of the source.
alter table sources add column must_sign boolean not null default false;
update sources set must_sign = true where key_id is not null or public_key is not null;
alter table sources add constraint sources_event_type check (length(event_type) between 1 and 256);
-- No function ever read them.
alter table sources drop column key_id, drop column public_key;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
