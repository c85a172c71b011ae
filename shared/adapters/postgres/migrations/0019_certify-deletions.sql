-- Up Migration

-- What a purge found before it took anything away: its certificate tells of it, also when the process that looked was lost.
create table purge_findings (
  -- The purge. No reference: what was found may outlive the record of its operation.
  operation_id uuid primary key,
  instance_id text not null references instances (id),
  at timestamptz not null default clock_timestamp(),
  -- Objects of {kind, name, where}.
  found jsonb not null check (jsonb_typeof(found) = 'array')
);
create index purge_findings_instance on purge_findings (instance_id, at);

-- A certificate is an entry of the audit log, which nobody can change.
create index audit_certificates on audit (instance_id, sequence) where action = 'purge.certified';

alter table verifications
  -- Whether Odoo was to be started on what was restored, and what came of it; null while nobody has decided.
  add column boot text check (boot in ('not-wanted', 'wanted', 'booted', 'failed')),
  -- Why it did not answer, or what it answered instead.
  add column boot_text text;

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
