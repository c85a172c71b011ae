-- Up Migration

-- What instances are sold with.
create table plans (
  id text primary key check (id ~ '^[a-z][a-z0-9-]{0,38}$'),
  cpu_millis integer not null check (cpu_millis > 0),
  memory_mib integer not null check (memory_mib > 0),
  disk_gib integer not null check (disk_gib > 0),
  workers integer not null default 0 check (workers >= 0),
  cron_threads integer not null default 1 check (cron_threads >= 0),
  database_connections integer not null default 16 check (database_connections > 0),
  replicas integer not null default 1 check (replicas > 0),
  created_at timestamptz not null default now()
);

-- What instances may run.
create table images (
  id text primary key check (id ~ '^[a-z][a-z0-9.-]{0,38}$'),
  reference text not null check (reference <> ''),
  odoo_version text not null,
  edition text not null default 'community' check (edition in ('community', 'enterprise')),
  addons_digest text not null default '',
  languages text[] not null default '{en_US}',
  -- How many ready clones each Odoo server keeps of this image's plain template.
  warm_target integer not null default 0 check (warm_target >= 0),
  status text not null default 'active' check (status in ('active', 'retired')),
  created_at timestamptz not null default now()
);

create table customers (
  id text primary key check (id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'),
  -- Instances that are not terminated. The default is the old platform's MAX_INSTANCES_PER_USER.
  quota integer not null default 5 check (quota >= 0),
  created_at timestamptz not null default now()
);

create table clusters (
  id text primary key check (id ~ '^[a-z][a-z0-9-]{0,38}$'),
  base_domain text not null check (base_domain ~ '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'),
  -- As the customer sees it: https://<name>.<base_domain> unless a port is named.
  scheme text not null default 'https' check (scheme in ('http', 'https')),
  public_port integer check (public_port between 1 and 65535),
  created_at timestamptz not null default now()
);

create table db_servers (
  id text primary key check (id ~ '^[a-z][a-z0-9-]{0,38}$'),
  host text not null check (host <> ''),
  port integer not null default 5432 check (port between 1 and 65535),
  admin_user text not null,
  -- Names a key of the mounted Secret with the admins' passwords; the password itself is never here.
  secret_key text not null check (secret_key ~ '^[A-Za-z0-9._-]+$'),
  ssl_mode text not null default 'verify-full' check (ssl_mode in ('disable', 'require', 'verify-full')),
  max_instances integer not null default 50 check (max_instances >= 0),
  instance_count integer not null default 0 check (instance_count >= 0),
  -- Lower first.
  priority integer not null default 100,
  status text not null default 'active' check (status in ('active', 'maintenance', 'error')),
  -- Placeable once it was reached with its key.
  reached_at timestamptz,
  server_version integer,
  created_at timestamptz not null default now(),
  constraint db_servers_capacity check (instance_count <= max_instances)
);

create table instances (
  id text primary key check (id ~ '^[a-z2-7]{12}$'),
  customer_id text not null references customers (id),
  name text not null check (name ~ '^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$'),
  -- Null once it was freed by a termination.
  host text unique check (host ~ '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$'),
  cluster_id text not null references clusters (id),
  plan_id text not null references plans (id),
  image_id text not null references images (id),
  db_server_id text references db_servers (id),
  modules text[] not null default '{}',
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  admin_login text not null,
  language text not null default 'en_US',
  desired_state text not null default 'running' check (desired_state in ('running', 'stopped', 'terminated')),
  generation bigint not null default 1 check (generation > 0),
  observed_generation bigint not null default 0,
  status text not null default 'creating' check (status in (
    'creating', 'starting', 'running', 'stopping', 'stopped', 'restarting', 'updating', 'maintenance',
    'suspended', 'missing', 'error', 'terminating', 'terminated')),
  status_reason text,
  purged_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint instances_observed_generation check (observed_generation <= generation),
  constraint instances_host_not_reserved check (host is null or split_part(host, '.', 1) not in (
    'admin', 'api', 'app', 'auth', 'backup', 'billing', 'blog', 'broker', 'cdn', 'console', 'dashboard', 'db', 'dev',
    'dns', 'docs', 'events', 'fleet', 'ftp', 'git', 'grafana', 'help', 'imap', 'internal', 'localhost', 'login', 'mail',
    'metrics', 'mx', 'ns', 'ns1', 'ns2', 'pop', 'portal', 'postgres', 'prometheus', 'proxy', 'public', 'rabbitmq',
    'redis', 'registry', 'root', 's3', 'shop', 'smtp', 'sso', 'staging', 'static', 'status', 'support', 'system',
    'template0', 'template1', 'test', 'vpn', 'webmail', 'www'))
);
create index instances_customer on instances (customer_id);
create index instances_db_server on instances (db_server_id);
create index instances_status on instances (status);

-- An instance runs only if running is desired and no suspension is open.
create table suspensions (
  id bigint generated always as identity primary key,
  instance_id text not null references instances (id),
  reason text not null check (reason in ('billing', 'abuse')),
  opened_at timestamptz not null default now(),
  closed_at timestamptz check (closed_at >= opened_at),
  cause text not null
);
create unique index suspensions_open on suspensions (instance_id, reason) where closed_at is null;

-- The billing state we hold; compared only within one source's stream by its sequence.
create table subscriptions (
  source text not null,
  id text not null,
  instance_id text references instances (id),
  customer_id text not null references customers (id),
  plan_id text references plans (id),
  state text not null check (state in ('trial', 'active', 'overdue', 'cancelled', 'expired')),
  sequence bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (source, id)
);
create index subscriptions_instance on subscriptions (instance_id);

-- Which source may send which type, and with which key. No row at all for a source: it may send everything unsigned
-- unless the configuration says that sources must be known.
create table sources (
  source text not null,
  event_type text not null,
  customer_id text references customers (id),
  key_id text,
  public_key text,
  created_at timestamptz not null default now(),
  primary key (source, event_type)
);

create table operations (
  id uuid primary key,
  instance_id text not null references instances (id),
  kind text not null check (kind in ('provision')),
  definition_version integer not null check (definition_version > 0),
  state text not null check (state in ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled')),
  step text,
  attempt integer not null default 1 check (attempt > 0),
  -- Raised by a person's retry; names of Jobs carry it.
  round integer not null default 1 check (round > 0),
  -- Grows with every taking of the lease.
  fence bigint not null default 0 check (fence >= 0),
  lease_holder text,
  lease_until timestamptz,
  -- Somebody asked for an advance while the lease was held: the holder looks again before it waits.
  woken boolean not null default false,
  next_check_at timestamptz,
  waiting_for text,
  deadline timestamptz not null,
  cancel_requested boolean not null default false,
  idempotency_key text not null,
  requested_by text not null,
  cause text not null,
  request jsonb not null,
  result jsonb,
  error_code text,
  error_text text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  finished_at timestamptz,
  unique (instance_id, kind, idempotency_key),
  constraint operations_lease_has_holder check ((lease_holder is null) = (lease_until is null)),
  constraint operations_failure_has_reason check (state <> 'failed' or (error_code is not null and error_text is not null and finished_at is not null))
);
-- The rule that no two operations work on one instance.
create unique index operations_one_active on operations (instance_id) where state in ('running', 'waiting');
create index operations_due on operations (next_check_at) where state in ('queued', 'running', 'waiting');
create index operations_instance on operations (instance_id, created_at);

create table operation_steps (
  operation_id uuid not null references operations (id),
  step text not null,
  attempt integer not null,
  fence bigint not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  outcome text check (outcome in ('done', 'waiting', 'failed', 'undone')),
  error_code text,
  error_text text,
  primary key (operation_id, step, fence, attempt)
);

-- Periodic work that only one process does at a time, by the database's clock.
create table leases (
  name text primary key,
  holder text not null,
  until timestamptz not null
);

-- An event is done when its row commits.
create table inbox (
  source text not null,
  id text not null,
  type text not null,
  -- sha256 of the event's data: the same id with other data is another event that lies about its name.
  data_hash bytea not null check (octet_length(data_hash) = 32),
  -- Deferred: the event's row is written before the operation it asks for.
  operation_id uuid references operations (id) deferrable initially deferred,
  outcome text not null,
  received_at timestamptz not null default now(),
  primary key (source, id)
);
create index inbox_received on inbox (received_at);

create table outbox (
  sequence bigint generated always as identity primary key,
  id uuid not null unique,
  type text not null,
  source text not null,
  subject text,
  data jsonb not null,
  extensions jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  published_at timestamptz,
  attempts integer not null default 0,
  last_error text
);
create index outbox_waiting on outbox (sequence) where published_at is null;

create table dead_events (
  sequence bigint generated always as identity primary key,
  -- Attributes as far as they could be read; both null when it was no CloudEvent at all.
  source text,
  id text,
  type text,
  received_by text not null,
  reason_code text not null,
  reason text not null,
  content_type text,
  attributes jsonb not null default '{}',
  body bytea not null,
  -- sha256 of attributes and body: the same bad event stored once.
  digest bytea not null unique check (octet_length(digest) = 32),
  deliveries integer not null default 1 check (deliveries > 0),
  received_at timestamptz not null default now(),
  replayed_at timestamptz
);
create index dead_events_received on dead_events (received_at);

create table audit (
  sequence bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  instance_id text,
  operation_id uuid,
  detail jsonb not null default '{}'
);
create index audit_instance on audit (instance_id, sequence);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'audit is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_append_only before update or delete on audit
  for each row execute function refuse_change();
create trigger audit_no_truncate before truncate on audit
  for each statement execute function refuse_change();

-- Down Migration
-- Forward only: a mistake is mended by the next migration.
