-- The schema after all migrations. Written by `node scripts/schema.ts`: change the migrations, not this file.

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception 'audit is append-only' using errcode = 'insufficient_privilege';
end $$;

CREATE TABLE public.api_keys (
    id text NOT NULL,
    name text NOT NULL,
    secret_sha256 bytea NOT NULL,
    role text NOT NULL,
    customer_id text,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    revoked_by text,
    last_used_at timestamp with time zone,
    CONSTRAINT api_keys_id_check CHECK ((id ~ '^[a-z2-7]{16}$'::text)),
    CONSTRAINT api_keys_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100))),
    CONSTRAINT api_keys_owner CHECK (
CASE role
    WHEN 'customer'::text THEN (customer_id IS NOT NULL)
    WHEN 'service'::text THEN true
    ELSE (customer_id IS NULL)
END),
    CONSTRAINT api_keys_revoked CHECK (((revoked_at IS NULL) = (revoked_by IS NULL))),
    CONSTRAINT api_keys_role_check CHECK ((role = ANY (ARRAY['customer'::text, 'support'::text, 'admin'::text, 'service'::text]))),
    CONSTRAINT api_keys_scopes_check CHECK ((cardinality(scopes) > 0)),
    CONSTRAINT api_keys_secret_sha256_check CHECK ((length(secret_sha256) = 32))
);

CREATE TABLE public.audit (
    sequence bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    instance_id text,
    operation_id uuid,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE public.audit ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.backup_requests (
    instance_id text NOT NULL,
    task text NOT NULL,
    subject text NOT NULL,
    requests integer NOT NULL,
    event_id uuid NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    next_at timestamp with time zone NOT NULL,
    CONSTRAINT backup_requests_requests_check CHECK ((requests > 0)),
    CONSTRAINT backup_requests_task_check CHECK ((task = ANY (ARRAY['backup'::text, 'verify'::text])))
);

CREATE TABLE public.backups (
    id uuid NOT NULL,
    instance_id text NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    round integer NOT NULL,
    server_id text NOT NULL,
    dump_key text,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    snapshot_at timestamp with time zone,
    manifest_key text,
    manifest_sha256 text,
    summary jsonb DEFAULT '{}'::jsonb NOT NULL,
    dump_bytes bigint,
    files_bytes bigint,
    files_count bigint,
    uploaded_bytes bigint,
    previous_id uuid,
    error_code text,
    error_text text,
    proof text DEFAULT 'none'::text NOT NULL,
    proof_at timestamp with time zone,
    proof_by uuid,
    proof_text text,
    odoo_booted boolean DEFAULT false NOT NULL,
    keep_until timestamp with time zone,
    locked_until timestamp with time zone,
    deleted_at timestamp with time zone,
    delete_reason text,
    CONSTRAINT backups_deleted_at CHECK (((state = 'deleted'::text) = (deleted_at IS NOT NULL))),
    CONSTRAINT backups_deletion CHECK (((state <> ALL (ARRAY['deleting'::text, 'deleted'::text])) OR (delete_reason IS NOT NULL))),
    CONSTRAINT backups_dump_bytes_check CHECK ((dump_bytes >= 0)),
    CONSTRAINT backups_dump_key CHECK (((dump_key IS NOT NULL) OR (state = ANY (ARRAY['failed'::text, 'deleted'::text])))),
    CONSTRAINT backups_failure CHECK (((state <> 'failed'::text) OR ((finished_at IS NOT NULL) AND (error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT backups_files_bytes_check CHECK ((files_bytes >= 0)),
    CONSTRAINT backups_files_count_check CHECK ((files_count >= 0)),
    CONSTRAINT backups_kind_check CHECK ((kind = ANY (ARRAY['manual'::text, 'scheduled'::text, 'before-upgrade'::text, 'before-restore'::text, 'final'::text]))),
    CONSTRAINT backups_manifest_sha256_check CHECK ((manifest_sha256 ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT backups_proof CHECK (((proof = 'none'::text) = (proof_at IS NULL))),
    CONSTRAINT backups_proof_check CHECK ((proof = ANY (ARRAY['none'::text, 'proven'::text, 'refuted'::text]))),
    CONSTRAINT backups_round_check CHECK ((round > 0)),
    CONSTRAINT backups_state_check CHECK ((state = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'deleting'::text, 'deleted'::text]))),
    CONSTRAINT backups_success CHECK (((state <> ALL (ARRAY['succeeded'::text, 'deleting'::text])) OR ((finished_at IS NOT NULL) AND (snapshot_at IS NOT NULL) AND (manifest_key IS NOT NULL) AND (manifest_sha256 IS NOT NULL)))),
    CONSTRAINT backups_summary_check CHECK ((jsonb_typeof(summary) = 'object'::text)),
    CONSTRAINT backups_uploaded_bytes_check CHECK ((uploaded_bytes >= 0))
);

CREATE TABLE public.billing_notifications (
    form text NOT NULL,
    key bytea NOT NULL,
    content_hash bytea NOT NULL,
    type text NOT NULL,
    account_id text,
    object_id text,
    deliveries integer DEFAULT 1 NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT billing_notifications_content_hash_check CHECK ((octet_length(content_hash) = 32)),
    CONSTRAINT billing_notifications_form_check CHECK ((form = ANY (ARRAY['kill-bill'::text, 'signed'::text]))),
    CONSTRAINT billing_notifications_key_check CHECK ((octet_length(key) = 32)),
    CONSTRAINT billing_notifications_type_check CHECK (((length(type) >= 1) AND (length(type) <= 100)))
);

CREATE TABLE public.billing_requests (
    instance_id text NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL,
    is_suspended boolean NOT NULL,
    is_terminated boolean NOT NULL,
    sequence bigint NOT NULL,
    event_id uuid NOT NULL,
    data jsonb NOT NULL,
    asked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resends integer DEFAULT 0 NOT NULL,
    check_at timestamp with time zone,
    CONSTRAINT billing_requests_kind_check CHECK ((kind = ANY (ARRAY['provision'::text, 'suspend'::text, 'resume'::text, 'terminate'::text, 'undo'::text]))),
    CONSTRAINT billing_requests_sequence_check CHECK ((sequence > 0))
);

CREATE TABLE public.bounced_addresses (
    address text NOT NULL,
    reason text NOT NULL,
    bounced_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT bounced_addresses_address_check CHECK (((length(address) >= 3) AND (length(address) <= 254))),
    CONSTRAINT bounced_addresses_reason_check CHECK ((length(reason) <= 300))
);

CREATE TABLE public.clusters (
    id text NOT NULL,
    base_domain text NOT NULL,
    scheme text DEFAULT 'https'::text NOT NULL,
    public_port integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT clusters_base_domain_check CHECK ((base_domain ~ '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'::text)),
    CONSTRAINT clusters_id_check CHECK ((id ~ '^[a-z][a-z0-9-]{0,38}$'::text)),
    CONSTRAINT clusters_public_port_check CHECK (((public_port >= 1) AND (public_port <= 65535))),
    CONSTRAINT clusters_scheme_check CHECK ((scheme = ANY (ARRAY['http'::text, 'https'::text])))
);

CREATE TABLE public.custom_domains (
    host text NOT NULL,
    instance_id text NOT NULL,
    token text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    verified_at timestamp with time zone,
    CONSTRAINT custom_domains_host_check CHECK (((length(host) <= 253) AND (host ~ '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'::text))),
    CONSTRAINT custom_domains_token_check CHECK ((token ~ '^[a-z2-7]{32}$'::text))
);

CREATE TABLE public.customer_standings (
    source text NOT NULL,
    customer_id text NOT NULL,
    standing text NOT NULL,
    sequence bigint NOT NULL,
    cause text NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT customer_standings_standing_check CHECK ((standing = ANY (ARRAY['active'::text, 'deactivated'::text, 'deleted'::text])))
);

CREATE TABLE public.customers (
    id text NOT NULL,
    quota integer DEFAULT 5 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT customers_id_check CHECK ((id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'::text)),
    CONSTRAINT customers_quota_check CHECK ((quota >= 0))
);

CREATE TABLE public.db_servers (
    id text NOT NULL,
    host text NOT NULL,
    port integer DEFAULT 5432 NOT NULL,
    admin_user text NOT NULL,
    secret_key text NOT NULL,
    ssl_mode text DEFAULT 'verify-full'::text NOT NULL,
    max_instances integer DEFAULT 50 NOT NULL,
    instance_count integer DEFAULT 0 NOT NULL,
    priority integer DEFAULT 100 NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    reached_at timestamp with time zone,
    server_version integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    purpose text DEFAULT 'tenants'::text NOT NULL,
    backup_slots integer DEFAULT 2 NOT NULL,
    CONSTRAINT db_servers_backup_slots_check CHECK ((backup_slots >= 0)),
    CONSTRAINT db_servers_capacity CHECK ((instance_count <= max_instances)),
    CONSTRAINT db_servers_host_check CHECK ((host <> ''::text)),
    CONSTRAINT db_servers_id_check CHECK ((id ~ '^[a-z][a-z0-9-]{0,38}$'::text)),
    CONSTRAINT db_servers_instance_count_check CHECK ((instance_count >= 0)),
    CONSTRAINT db_servers_max_instances_check CHECK ((max_instances >= 0)),
    CONSTRAINT db_servers_port_check CHECK (((port >= 1) AND (port <= 65535))),
    CONSTRAINT db_servers_purpose_check CHECK ((purpose = ANY (ARRAY['tenants'::text, 'verification'::text]))),
    CONSTRAINT db_servers_secret_key_check CHECK ((secret_key ~ '^[A-Za-z0-9._-]+$'::text)),
    CONSTRAINT db_servers_ssl_mode_check CHECK ((ssl_mode = ANY (ARRAY['disable'::text, 'require'::text, 'verify-full'::text]))),
    CONSTRAINT db_servers_status_check CHECK ((status = ANY (ARRAY['active'::text, 'maintenance'::text, 'error'::text]))),
    CONSTRAINT db_servers_verification_is_empty CHECK (((purpose = 'tenants'::text) OR (instance_count = 0)))
);

CREATE TABLE public.dead_events (
    sequence bigint NOT NULL,
    source text,
    id text,
    type text,
    received_by text NOT NULL,
    reason_code text NOT NULL,
    reason text NOT NULL,
    content_type text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    body bytea NOT NULL,
    digest bytea NOT NULL,
    deliveries integer DEFAULT 1 NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    replayed_at timestamp with time zone,
    origin text,
    error_code integer,
    error_data text,
    class text DEFAULT 'permanent'::text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    replays integer DEFAULT 0 NOT NULL,
    next_replay_at timestamp with time zone,
    last_error text,
    is_whole boolean DEFAULT true NOT NULL,
    CONSTRAINT dead_events_class_check CHECK ((class = ANY (ARRAY['transient'::text, 'permanent'::text, 'unknown'::text]))),
    CONSTRAINT dead_events_deliveries_check CHECK ((deliveries > 0)),
    CONSTRAINT dead_events_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT dead_events_due_when_transient CHECK (((next_replay_at IS NULL) OR ((state = 'waiting'::text) AND (class = 'transient'::text)))),
    CONSTRAINT dead_events_replays_check CHECK ((replays >= 0)),
    CONSTRAINT dead_events_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'replayed'::text, 'resolved'::text, 'given-up'::text])))
);

ALTER TABLE public.dead_events ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_events_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.exports (
    id uuid NOT NULL,
    instance_id text NOT NULL,
    backup_id uuid NOT NULL,
    state text NOT NULL,
    round integer NOT NULL,
    archive_key text,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    object_key text,
    bytes bigint,
    sha256 text,
    files bigint,
    expires_at timestamp with time zone,
    downloads integer DEFAULT 0 NOT NULL,
    downloaded_at timestamp with time zone,
    deleted_at timestamp with time zone,
    error_code text,
    error_text text,
    CONSTRAINT exports_bytes_check CHECK ((bytes >= 0)),
    CONSTRAINT exports_deleted CHECK (((state = 'deleted'::text) = (deleted_at IS NOT NULL))),
    CONSTRAINT exports_downloads_check CHECK ((downloads >= 0)),
    CONSTRAINT exports_end CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT exports_failure CHECK (((state <> 'failed'::text) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT exports_files_check CHECK ((files >= 0)),
    CONSTRAINT exports_key CHECK (((archive_key IS NOT NULL) = (state = ANY (ARRAY['running'::text, 'ready'::text])))),
    CONSTRAINT exports_ready CHECK (((state <> 'ready'::text) OR ((object_key IS NOT NULL) AND (bytes IS NOT NULL) AND (sha256 IS NOT NULL) AND (files IS NOT NULL) AND (expires_at IS NOT NULL)))),
    CONSTRAINT exports_round_check CHECK ((round > 0)),
    CONSTRAINT exports_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT exports_state_check CHECK ((state = ANY (ARRAY['running'::text, 'ready'::text, 'failed'::text, 'deleting'::text, 'deleted'::text])))
);

CREATE TABLE public.findings (
    kind text NOT NULL,
    subject text NOT NULL,
    shard text NOT NULL,
    place text NOT NULL,
    instance_id text,
    detail text NOT NULL,
    first_seen timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resolved_at timestamp with time zone,
    repairs integer DEFAULT 0 NOT NULL,
    next_repair_at timestamp with time zone,
    CONSTRAINT findings_repairs_check CHECK ((repairs >= 0)),
    CONSTRAINT findings_shard_check CHECK ((shard ~ '^([a-z2-7]|fleet)$'::text)),
    CONSTRAINT findings_subject_check CHECK (((length(subject) >= 1) AND (length(subject) <= 300)))
);

CREATE TABLE public.first_logins (
    token_sha256 bytea NOT NULL,
    instance_id text NOT NULL,
    sealed bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT first_logins_sealed_check CHECK ((length(sealed) <= 1000)),
    CONSTRAINT first_logins_token_sha256_check CHECK ((length(token_sha256) = 32))
);

CREATE TABLE public.idempotency_keys (
    actor text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    status integer,
    headers jsonb,
    body jsonb,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT idempotency_keys_answer CHECK (((status IS NULL) = (headers IS NULL))),
    CONSTRAINT idempotency_keys_key_check CHECK (((length(key) >= 1) AND (length(key) <= 128))),
    CONSTRAINT idempotency_keys_status_check CHECK (((status >= 200) AND (status <= 299)))
);

CREATE TABLE public.images (
    id text NOT NULL,
    reference text NOT NULL,
    odoo_version text NOT NULL,
    edition text DEFAULT 'community'::text NOT NULL,
    addons_digest text DEFAULT ''::text NOT NULL,
    languages text[] DEFAULT '{en_US}'::text[] NOT NULL,
    warm_target integer DEFAULT 0 NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT images_edition_check CHECK ((edition = ANY (ARRAY['community'::text, 'enterprise'::text]))),
    CONSTRAINT images_id_check CHECK ((id ~ '^[a-z][a-z0-9.-]{0,38}$'::text)),
    CONSTRAINT images_reference_check CHECK ((reference <> ''::text)),
    CONSTRAINT images_status_check CHECK ((status = ANY (ARRAY['active'::text, 'retired'::text]))),
    CONSTRAINT images_warm_target_check CHECK ((warm_target >= 0))
);

CREATE TABLE public.inbox (
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    data_hash bytea NOT NULL,
    operation_id uuid,
    outcome text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT inbox_data_hash_check CHECK ((octet_length(data_hash) = 32))
);

CREATE TABLE public.instance_keys (
    instance_id text NOT NULL,
    files_key text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    collected_by text,
    collecting_until timestamp with time zone,
    collected_at timestamp with time zone,
    retain_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    collect_at timestamp with time zone,
    CONSTRAINT instance_keys_collector CHECK (((collected_by IS NULL) = (collecting_until IS NULL)))
);

CREATE TABLE public.instances (
    id text NOT NULL,
    customer_id text NOT NULL,
    name text NOT NULL,
    host text,
    cluster_id text NOT NULL,
    plan_id text NOT NULL,
    image_id text NOT NULL,
    db_server_id text,
    modules text[] DEFAULT '{}'::text[] NOT NULL,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    admin_login text NOT NULL,
    language text DEFAULT 'en_US'::text NOT NULL,
    desired_state text DEFAULT 'running'::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    observed_generation bigint DEFAULT 0 NOT NULL,
    status text DEFAULT 'creating'::text NOT NULL,
    status_reason text,
    purged_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    restarted_by uuid,
    terminated_at timestamp with time zone,
    purge_after timestamp with time zone,
    desired_before text,
    cloned_from text,
    cloned_backup uuid,
    fence_floor bigint DEFAULT 0 NOT NULL,
    CONSTRAINT instances_clone CHECK (((cloned_backup IS NULL) OR (cloned_from IS NOT NULL))),
    CONSTRAINT instances_desired_before_check CHECK ((desired_before = ANY (ARRAY['running'::text, 'stopped'::text]))),
    CONSTRAINT instances_desired_state_check CHECK ((desired_state = ANY (ARRAY['running'::text, 'stopped'::text, 'terminated'::text]))),
    CONSTRAINT instances_fence_floor_check CHECK ((fence_floor >= 0)),
    CONSTRAINT instances_generation_check CHECK ((generation > 0)),
    CONSTRAINT instances_host_check CHECK (((length(host) <= 253) AND (host ~ '^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$'::text))),
    CONSTRAINT instances_host_not_reserved CHECK (((host IS NULL) OR (split_part(host, '.'::text, 1) <> ALL (ARRAY['admin'::text, 'api'::text, 'app'::text, 'auth'::text, 'backup'::text, 'billing'::text, 'blog'::text, 'broker'::text, 'cdn'::text, 'console'::text, 'dashboard'::text, 'db'::text, 'dev'::text, 'dns'::text, 'docs'::text, 'events'::text, 'fleet'::text, 'ftp'::text, 'git'::text, 'grafana'::text, 'help'::text, 'imap'::text, 'internal'::text, 'localhost'::text, 'login'::text, 'mail'::text, 'metrics'::text, 'mx'::text, 'ns'::text, 'ns1'::text, 'ns2'::text, 'pop'::text, 'portal'::text, 'postgres'::text, 'prometheus'::text, 'proxy'::text, 'public'::text, 'rabbitmq'::text, 'redis'::text, 'registry'::text, 'root'::text, 's3'::text, 'shop'::text, 'smtp'::text, 'sso'::text, 'staging'::text, 'static'::text, 'status'::text, 'support'::text, 'system'::text, 'template0'::text, 'template1'::text, 'test'::text, 'vpn'::text, 'webmail'::text, 'www'::text])))),
    CONSTRAINT instances_id_check CHECK (((length(id) = 12) AND (id ~ '^[a-z2-7]+$'::text))),
    CONSTRAINT instances_name_check CHECK (((length(name) <= 40) AND (name ~ '^[a-z]([a-z0-9-]*[a-z0-9])?$'::text))),
    CONSTRAINT instances_no_clone_of_itself CHECK ((cloned_from <> id)),
    CONSTRAINT instances_observed_generation CHECK ((observed_generation <= generation)),
    CONSTRAINT instances_settings_check CHECK ((jsonb_typeof(settings) = 'object'::text)),
    CONSTRAINT instances_status_check CHECK ((status = ANY (ARRAY['creating'::text, 'starting'::text, 'running'::text, 'stopping'::text, 'stopped'::text, 'restarting'::text, 'updating'::text, 'maintenance'::text, 'suspended'::text, 'missing'::text, 'error'::text, 'terminating'::text, 'terminated'::text]))),
    CONSTRAINT instances_tombstone CHECK ((((terminated_at IS NULL) = (purge_after IS NULL)) AND ((terminated_at IS NULL) = (desired_before IS NULL))))
)
WITH (fillfactor='80');

CREATE TABLE public.kill_bill_accounts (
    id text NOT NULL,
    customer_id text,
    asked bigint DEFAULT 1 NOT NULL,
    looked bigint DEFAULT 0 NOT NULL,
    look_at timestamp with time zone,
    sent_at timestamp with time zone DEFAULT clock_timestamp(),
    attempts integer DEFAULT 0 NOT NULL,
    last_error text,
    incomplete_looks integer DEFAULT 0 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    leased_until timestamp with time zone,
    looked_at timestamp with time zone
);

CREATE TABLE public.kill_bill_payments (
    account_id text NOT NULL,
    name text NOT NULL,
    told_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE public.kill_bill_subscriptions (
    id text NOT NULL,
    account_id text NOT NULL,
    sequence bigint NOT NULL,
    state jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT kill_bill_subscriptions_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT kill_bill_subscriptions_state_check CHECK ((jsonb_typeof(state) = 'object'::text))
);

CREATE TABLE public.leases (
    name text NOT NULL,
    holder text NOT NULL,
    until timestamp with time zone NOT NULL
);

CREATE TABLE public.loads (
    id uuid NOT NULL,
    instance_id text NOT NULL,
    server_id text NOT NULL,
    backup_id uuid,
    round integer NOT NULL,
    job_key text NOT NULL,
    state text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    result jsonb,
    error_code text,
    error_text text,
    CONSTRAINT loads_end CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT loads_failure CHECK (((state <> 'failed'::text) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT loads_round_check CHECK ((round > 0)),
    CONSTRAINT loads_state_check CHECK ((state = ANY (ARRAY['running'::text, 'loaded'::text, 'failed'::text]))),
    CONSTRAINT loads_success CHECK (((state <> 'loaded'::text) OR (result IS NOT NULL)))
);

CREATE TABLE public.mails (
    id uuid NOT NULL,
    template text NOT NULL,
    instance_id text NOT NULL,
    customer_id text NOT NULL,
    operation_id uuid,
    address text NOT NULL,
    language text NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone,
    last_error text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    endpoint_id uuid,
    CONSTRAINT mails_about CHECK ((num_nonnulls(operation_id, endpoint_id) = 1)),
    CONSTRAINT mails_address_check CHECK (((length(address) >= 3) AND (length(address) <= 254))),
    CONSTRAINT mails_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT mails_ended CHECK (((state = 'queued'::text) = (ended_at IS NULL))),
    CONSTRAINT mails_language_check CHECK ((length(language) <= 24)),
    CONSTRAINT mails_last_error_check CHECK ((length(last_error) <= 300)),
    CONSTRAINT mails_queued CHECK (((state = 'queued'::text) = (next_attempt_at IS NOT NULL))),
    CONSTRAINT mails_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'sent'::text, 'failed'::text, 'bounced'::text]))),
    CONSTRAINT mails_template_check CHECK (((length(template) >= 1) AND (length(template) <= 60)))
);

CREATE TABLE public.observations (
    instance_id text NOT NULL,
    what text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT observations_what_check CHECK ((what = ANY (ARRAY['unavailable'::text, 'gone'::text])))
);

CREATE TABLE public.operation_steps (
    operation_id uuid NOT NULL,
    step text NOT NULL,
    attempt integer NOT NULL,
    fence bigint NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    outcome text,
    error_code text,
    error_text text,
    CONSTRAINT operation_steps_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'waiting'::text, 'failed'::text, 'undone'::text])))
);

CREATE TABLE public.operations (
    id uuid NOT NULL,
    instance_id text NOT NULL,
    kind text NOT NULL,
    definition_version integer NOT NULL,
    state text NOT NULL,
    step text,
    attempt integer DEFAULT 1 NOT NULL,
    round integer DEFAULT 1 NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    lease_holder text,
    lease_until timestamp with time zone,
    woken boolean DEFAULT false NOT NULL,
    next_check_at timestamp with time zone,
    waiting_for text,
    deadline timestamp with time zone NOT NULL,
    cancel_requested boolean DEFAULT false NOT NULL,
    idempotency_key text NOT NULL,
    requested_by text NOT NULL,
    cause text NOT NULL,
    request jsonb NOT NULL,
    result jsonb,
    error_code text,
    error_text text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    told_at timestamp with time zone,
    not_before timestamp with time zone,
    overtaken_by uuid,
    generation bigint,
    traceparent text,
    progress jsonb,
    CONSTRAINT operations_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT operations_definition_version_check CHECK ((definition_version > 0)),
    CONSTRAINT operations_failure_has_reason CHECK (((state <> 'failed'::text) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL) AND (finished_at IS NOT NULL)))),
    CONSTRAINT operations_fence_check CHECK ((fence >= 0)),
    CONSTRAINT operations_kind_check CHECK ((kind = ANY (ARRAY['provision'::text, 'start'::text, 'stop'::text, 'restart'::text, 'suspend'::text, 'resume'::text, 'terminate'::text, 'undo'::text, 'purge'::text, 'repair'::text, 'backup'::text, 'verify'::text, 'restore'::text, 'clone'::text, 'import'::text, 'export'::text]))),
    CONSTRAINT operations_lease_has_holder CHECK (((lease_holder IS NULL) = (lease_until IS NULL))),
    CONSTRAINT operations_round_check CHECK ((round > 0)),
    CONSTRAINT operations_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'waiting'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT operations_traceparent_check CHECK ((length(traceparent) <= 64))
);

CREATE TABLE public.outbox (
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    subject text,
    data jsonb NOT NULL,
    extensions jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    published_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text
);

ALTER TABLE public.outbox ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.plans (
    id text NOT NULL,
    cpu_millis integer NOT NULL,
    memory_mib integer NOT NULL,
    disk_gib integer NOT NULL,
    workers integer DEFAULT 0 NOT NULL,
    cron_threads integer DEFAULT 1 NOT NULL,
    database_connections integer DEFAULT 16 NOT NULL,
    replicas integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    undo_days integer DEFAULT 30 NOT NULL,
    grace_days integer DEFAULT 14 NOT NULL,
    on_overdue text DEFAULT 'suspend'::text NOT NULL,
    on_cancellation text DEFAULT 'terminate'::text NOT NULL,
    on_expiry text DEFAULT 'terminate'::text NOT NULL,
    backup_hours integer DEFAULT 24 NOT NULL,
    keep_daily integer DEFAULT 7 NOT NULL,
    keep_weekly integer DEFAULT 4 NOT NULL,
    keep_monthly integer DEFAULT 3 NOT NULL,
    verify_days integer DEFAULT 7 NOT NULL,
    undo_restore_hours integer DEFAULT 72 NOT NULL,
    CONSTRAINT plans_backup_hours_check CHECK (((backup_hours >= 0) AND (backup_hours <= 8760))),
    CONSTRAINT plans_cpu_millis_check CHECK ((cpu_millis > 0)),
    CONSTRAINT plans_cron_threads_check CHECK ((cron_threads >= 0)),
    CONSTRAINT plans_database_connections_check CHECK ((database_connections > 0)),
    CONSTRAINT plans_disk_gib_check CHECK ((disk_gib > 0)),
    CONSTRAINT plans_grace_days_check CHECK (((grace_days >= 0) AND (grace_days <= 3650))),
    CONSTRAINT plans_id_check CHECK ((id ~ '^[a-z][a-z0-9-]{0,38}$'::text)),
    CONSTRAINT plans_keep_daily_check CHECK (((keep_daily >= 0) AND (keep_daily <= 366))),
    CONSTRAINT plans_keep_monthly_check CHECK (((keep_monthly >= 0) AND (keep_monthly <= 120))),
    CONSTRAINT plans_keep_weekly_check CHECK (((keep_weekly >= 0) AND (keep_weekly <= 520))),
    CONSTRAINT plans_memory_mib_check CHECK ((memory_mib > 0)),
    CONSTRAINT plans_on_cancellation_check CHECK ((on_cancellation = ANY (ARRAY['terminate'::text, 'suspend'::text, 'nothing'::text]))),
    CONSTRAINT plans_on_expiry_check CHECK ((on_expiry = ANY (ARRAY['terminate'::text, 'suspend'::text, 'nothing'::text]))),
    CONSTRAINT plans_on_overdue_check CHECK ((on_overdue = ANY (ARRAY['suspend'::text, 'nothing'::text]))),
    CONSTRAINT plans_replicas_check CHECK ((replicas > 0)),
    CONSTRAINT plans_undo_days_check CHECK ((undo_days >= 0)),
    CONSTRAINT plans_undo_restore_hours_check CHECK (((undo_restore_hours >= 1) AND (undo_restore_hours <= 8760))),
    CONSTRAINT plans_verify_days_check CHECK (((verify_days >= 0) AND (verify_days <= 366))),
    CONSTRAINT plans_workers_check CHECK ((workers >= 0))
);

CREATE TABLE public.purge_findings (
    operation_id uuid NOT NULL,
    instance_id text NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    found jsonb NOT NULL,
    CONSTRAINT purge_findings_found_check CHECK ((jsonb_typeof(found) = 'array'::text))
);

CREATE TABLE public.reconcile_shards (
    shard text NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    holder text,
    until timestamp with time zone,
    passed_at timestamp with time zone,
    blind text[] DEFAULT '{}'::text[] NOT NULL,
    CONSTRAINT reconcile_shards_holder CHECK (((holder IS NULL) = (until IS NULL))),
    CONSTRAINT reconcile_shards_shard_check CHECK ((shard ~ '^([a-z2-7]|fleet)$'::text))
);

CREATE TABLE public.restores (
    id uuid NOT NULL,
    instance_id text NOT NULL,
    server_id text NOT NULL,
    backup_id uuid,
    undoes uuid,
    state text NOT NULL,
    round integer NOT NULL,
    job_key text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    switched_at timestamp with time zone,
    swapped_at timestamp with time zone,
    finished_at timestamp with time zone,
    keep_until timestamp with time zone,
    dropping_at timestamp with time zone,
    dropped_at timestamp with time zone,
    taken_back_by uuid,
    error_code text,
    error_text text,
    drop_tries integer DEFAULT 0 NOT NULL,
    drop_after timestamp with time zone,
    CONSTRAINT restores_drop_tries_check CHECK ((drop_tries >= 0)),
    CONSTRAINT restores_dropped CHECK (((dropped_at IS NULL) OR (dropping_at IS NOT NULL))),
    CONSTRAINT restores_dropping CHECK (((dropping_at IS NULL) OR (state = 'succeeded'::text))),
    CONSTRAINT restores_failure CHECK (((state <> 'failed'::text) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT restores_round_check CHECK ((round > 0)),
    CONSTRAINT restores_source CHECK (((backup_id IS NULL) <> (undoes IS NULL))),
    CONSTRAINT restores_state_check CHECK ((state = ANY (ARRAY['running'::text, 'switched'::text, 'succeeded'::text, 'failed'::text]))),
    CONSTRAINT restores_success CHECK (((state <> 'succeeded'::text) OR ((finished_at IS NOT NULL) AND (keep_until IS NOT NULL)))),
    CONSTRAINT restores_switch CHECK (((state <> ALL (ARRAY['switched'::text, 'succeeded'::text])) OR (switched_at IS NOT NULL)))
);

CREATE TABLE public.source_keys (
    source text NOT NULL,
    key_id text NOT NULL,
    public_key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT source_keys_key_id_check CHECK ((key_id ~ '^[A-Za-z0-9._~-]{1,64}$'::text)),
    CONSTRAINT source_keys_public_key_check CHECK (((length(public_key) <= 4096) AND (public_key !~ 'PRIVATE KEY'::text)))
);

CREATE TABLE public.sources (
    source text NOT NULL,
    event_type text NOT NULL,
    customer_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    must_sign boolean DEFAULT false NOT NULL,
    CONSTRAINT sources_event_type CHECK (((length(event_type) >= 1) AND (length(event_type) <= 256)))
);

CREATE TABLE public.streams (
    source text NOT NULL,
    stream text NOT NULL,
    sequence bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT streams_sequence_check CHECK ((sequence >= 0))
);

CREATE TABLE public.subscriptions (
    source text NOT NULL,
    id text NOT NULL,
    instance_id text,
    customer_id text NOT NULL,
    plan_id text NOT NULL,
    sequence bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    phase text NOT NULL,
    paid boolean NOT NULL,
    overdue_since timestamp with time zone,
    ends_at timestamp with time zone,
    ends_by text,
    configuration jsonb,
    configuration_sequence bigint,
    cause text NOT NULL,
    action_due_at timestamp with time zone,
    paused boolean DEFAULT false NOT NULL,
    trial text,
    CONSTRAINT subscriptions_configuration CHECK (((configuration IS NULL) = (configuration_sequence IS NULL))),
    CONSTRAINT subscriptions_configuration_check CHECK ((jsonb_typeof(configuration) = 'object'::text)),
    CONSTRAINT subscriptions_end CHECK (((ends_at IS NULL) = (ends_by IS NULL))),
    CONSTRAINT subscriptions_ends_by_check CHECK ((ends_by = ANY (ARRAY['cancellation'::text, 'expiry'::text]))),
    CONSTRAINT subscriptions_phase_check CHECK ((phase = ANY (ARRAY['trial'::text, 'evergreen'::text]))),
    CONSTRAINT subscriptions_trial_check CHECK ((trial = ANY (ARRAY['granted'::text, 'refused'::text])))
);

CREATE TABLE public.suspensions (
    id bigint NOT NULL,
    instance_id text NOT NULL,
    reason text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    closed_at timestamp with time zone,
    cause text NOT NULL,
    CONSTRAINT suspensions_check CHECK ((closed_at >= opened_at)),
    CONSTRAINT suspensions_reason_check CHECK ((reason = ANY (ARRAY['billing'::text, 'abuse'::text])))
);

ALTER TABLE public.suspensions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.suspensions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.verifications (
    id uuid NOT NULL,
    backup_id uuid NOT NULL,
    instance_id text NOT NULL,
    server_id text NOT NULL,
    round integer NOT NULL,
    state text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    odoo_booted boolean DEFAULT false NOT NULL,
    differences jsonb DEFAULT '[]'::jsonb NOT NULL,
    error_code text,
    error_text text,
    boot text,
    boot_text text,
    CONSTRAINT verifications_boot_check CHECK ((boot = ANY (ARRAY['not-wanted'::text, 'wanted'::text, 'booted'::text, 'failed'::text]))),
    CONSTRAINT verifications_differences_check CHECK ((jsonb_typeof(differences) = 'array'::text)),
    CONSTRAINT verifications_end CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT verifications_failure CHECK (((state <> 'failed'::text) OR ((error_code IS NOT NULL) AND (error_text IS NOT NULL)))),
    CONSTRAINT verifications_round_check CHECK ((round > 0)),
    CONSTRAINT verifications_state_check CHECK ((state = ANY (ARRAY['running'::text, 'proven'::text, 'refuted'::text, 'failed'::text])))
);

CREATE TABLE public.webhook_attempts (
    sequence bigint NOT NULL,
    delivery_id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    status integer,
    error text,
    milliseconds integer NOT NULL,
    CONSTRAINT webhook_attempts_error_check CHECK ((length(error) <= 300)),
    CONSTRAINT webhook_attempts_milliseconds_check CHECK ((milliseconds >= 0))
);

ALTER TABLE public.webhook_attempts ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_attempts_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_deliveries (
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    instance_id text,
    stream text NOT NULL,
    sequence bigint NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    begun_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    delivered_at timestamp with time zone,
    fence integer DEFAULT 0 NOT NULL,
    leased_until timestamp with time zone,
    CONSTRAINT webhook_deliveries_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT webhook_deliveries_delivered CHECK (((state = 'succeeded'::text) = (delivered_at IS NOT NULL))),
    CONSTRAINT webhook_deliveries_fence CHECK ((fence >= 0)),
    CONSTRAINT webhook_deliveries_sequence_check CHECK ((sequence > 0)),
    CONSTRAINT webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'succeeded'::text, 'failed'::text, 'held'::text]))),
    CONSTRAINT webhook_deliveries_type_check CHECK ((length(type) <= 200)),
    CONSTRAINT webhook_deliveries_waiting CHECK (((state = 'waiting'::text) = (next_attempt_at IS NOT NULL)))
);

CREATE TABLE public.webhook_endpoints (
    id uuid NOT NULL,
    customer_id text NOT NULL,
    url text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    types text[] DEFAULT '{}'::text[] NOT NULL,
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    secret text,
    previous_secret text,
    previous_until timestamp with time zone,
    disabled_reason text,
    disabled_at timestamp with time zone,
    failing_since timestamp with time zone,
    last_success_at timestamp with time zone,
    generation integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT webhook_endpoints_customer_id_check CHECK (((length(customer_id) >= 1) AND (length(customer_id) <= 64))),
    CONSTRAINT webhook_endpoints_description_check CHECK ((length(description) <= 200)),
    CONSTRAINT webhook_endpoints_disabled CHECK (((disabled_reason IS NULL) = (disabled_at IS NULL))),
    CONSTRAINT webhook_endpoints_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['customer'::text, 'gone'::text, 'failing'::text]))),
    CONSTRAINT webhook_endpoints_generation_check CHECK ((generation > 0)),
    CONSTRAINT webhook_endpoints_previous CHECK (((previous_secret IS NULL) = (previous_until IS NULL))),
    CONSTRAINT webhook_endpoints_previous_secret_check CHECK ((length(previous_secret) <= 200)),
    CONSTRAINT webhook_endpoints_secret CHECK (((secret IS NULL) = (deleted_at IS NOT NULL))),
    CONSTRAINT webhook_endpoints_secret_check CHECK ((length(secret) <= 200)),
    CONSTRAINT webhook_endpoints_url_check CHECK (((length(url) >= 1) AND (length(url) <= 2000)))
);

CREATE TABLE public.webhook_sequences (
    endpoint_id uuid NOT NULL,
    stream text NOT NULL,
    last bigint DEFAULT 0 NOT NULL,
    CONSTRAINT webhook_sequences_last_check CHECK ((last >= 0)),
    CONSTRAINT webhook_sequences_stream_check CHECK ((length(stream) <= 12))
);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY public.backup_requests
    ADD CONSTRAINT backup_requests_pkey PRIMARY KEY (instance_id, task);

ALTER TABLE ONLY public.backups
    ADD CONSTRAINT backups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.billing_notifications
    ADD CONSTRAINT billing_notifications_pkey PRIMARY KEY (form, key);

ALTER TABLE ONLY public.billing_requests
    ADD CONSTRAINT billing_requests_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.bounced_addresses
    ADD CONSTRAINT bounced_addresses_pkey PRIMARY KEY (address);

ALTER TABLE ONLY public.clusters
    ADD CONSTRAINT clusters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.custom_domains
    ADD CONSTRAINT custom_domains_pkey PRIMARY KEY (instance_id, host);

ALTER TABLE ONLY public.customer_standings
    ADD CONSTRAINT customer_standings_pkey PRIMARY KEY (source, customer_id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.db_servers
    ADD CONSTRAINT db_servers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dead_events
    ADD CONSTRAINT dead_events_digest_key UNIQUE (digest);

ALTER TABLE ONLY public.dead_events
    ADD CONSTRAINT dead_events_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (kind, subject);

ALTER TABLE ONLY public.first_logins
    ADD CONSTRAINT first_logins_pkey PRIMARY KEY (token_sha256);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor, key);

ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (source, id);

ALTER TABLE ONLY public.instance_keys
    ADD CONSTRAINT instance_keys_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_host_key UNIQUE (host);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.kill_bill_accounts
    ADD CONSTRAINT kill_bill_accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.kill_bill_payments
    ADD CONSTRAINT kill_bill_payments_pkey PRIMARY KEY (account_id, name);

ALTER TABLE ONLY public.kill_bill_subscriptions
    ADD CONSTRAINT kill_bill_subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.loads
    ADD CONSTRAINT loads_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.mails
    ADD CONSTRAINT mails_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.observations
    ADD CONSTRAINT observations_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.operation_steps
    ADD CONSTRAINT operation_steps_pkey PRIMARY KEY (operation_id, step, fence, attempt);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_instance_id_kind_idempotency_key_key UNIQUE (instance_id, kind, idempotency_key);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_id_key UNIQUE (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.purge_findings
    ADD CONSTRAINT purge_findings_pkey PRIMARY KEY (operation_id);

ALTER TABLE ONLY public.reconcile_shards
    ADD CONSTRAINT reconcile_shards_pkey PRIMARY KEY (shard);

ALTER TABLE ONLY public.restores
    ADD CONSTRAINT restores_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.source_keys
    ADD CONSTRAINT source_keys_pkey PRIMARY KEY (source, key_id);

ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_pkey PRIMARY KEY (source, event_type);

ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (source, stream);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (source, id);

ALTER TABLE ONLY public.suspensions
    ADD CONSTRAINT suspensions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_pkey PRIMARY KEY (sequence);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_event UNIQUE (endpoint_id, event_id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_sequence UNIQUE (endpoint_id, stream, sequence);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_sequences
    ADD CONSTRAINT webhook_sequences_pkey PRIMARY KEY (endpoint_id, stream);

CREATE INDEX api_keys_customer ON public.api_keys USING btree (customer_id, created_at DESC, id);

CREATE INDEX audit_certificates ON public.audit USING btree (instance_id, sequence) WHERE (action = 'purge.certified'::text);

CREATE INDEX audit_instance ON public.audit USING btree (instance_id, sequence);

CREATE INDEX backups_deleting ON public.backups USING btree (id) WHERE (state = 'deleting'::text);

CREATE INDEX backups_failed ON public.backups USING btree (finished_at) WHERE (error_code IS NOT NULL);

CREATE INDEX backups_failures ON public.backups USING btree (instance_id, started_at) WHERE (error_code IS NOT NULL);

CREATE INDEX backups_instance ON public.backups USING btree (instance_id, started_at);

CREATE INDEX backups_kept ON public.backups USING btree (instance_id, snapshot_at DESC) INCLUDE (proof, dump_bytes) WHERE (state = 'succeeded'::text);

CREATE INDEX backups_looked ON public.backups USING btree (instance_id, proof_at DESC) WHERE (proof <> 'none'::text);

CREATE INDEX backups_proven ON public.backups USING btree (instance_id, snapshot_at DESC) WHERE ((state = 'succeeded'::text) AND (proof = 'proven'::text));

CREATE INDEX backups_refuted ON public.backups USING btree (id) WHERE ((state = 'succeeded'::text) AND (proof = 'refuted'::text));

CREATE INDEX backups_running ON public.backups USING btree (server_id) WHERE (state = 'running'::text);

CREATE INDEX backups_started ON public.backups USING btree (started_at, id);

CREATE INDEX billing_notifications_received ON public.billing_notifications USING btree (last_received_at);

CREATE INDEX billing_requests_check ON public.billing_requests USING btree (check_at) WHERE (check_at IS NOT NULL);

CREATE INDEX billing_requests_customer ON public.billing_requests USING btree (customer_id);

CREATE UNIQUE INDEX custom_domains_owner ON public.custom_domains USING btree (host) WHERE (verified_at IS NOT NULL);

CREATE INDEX customer_standings_customer ON public.customer_standings USING btree (customer_id);

CREATE INDEX dead_events_closed ON public.dead_events USING btree (replayed_at) WHERE (state = ANY (ARRAY['replayed'::text, 'resolved'::text]));

CREATE INDEX dead_events_due ON public.dead_events USING btree (next_replay_at) WHERE (next_replay_at IS NOT NULL);

CREATE INDEX dead_events_event ON public.dead_events USING btree (id, source);

CREATE INDEX dead_events_open ON public.dead_events USING btree (state, class) WHERE (state = ANY (ARRAY['waiting'::text, 'given-up'::text]));

CREATE INDEX dead_events_received ON public.dead_events USING btree (received_at);

CREATE INDEX exports_backup ON public.exports USING btree (backup_id) WHERE (state = 'running'::text);

CREATE INDEX exports_instance ON public.exports USING btree (instance_id, started_at);

CREATE INDEX exports_to_delete ON public.exports USING btree (expires_at) WHERE (state = ANY (ARRAY['ready'::text, 'failed'::text, 'deleting'::text]));

CREATE INDEX findings_instance ON public.findings USING btree (instance_id) WHERE (instance_id IS NOT NULL);

CREATE INDEX findings_open ON public.findings USING btree (shard) WHERE (resolved_at IS NULL);

CREATE INDEX findings_resolved ON public.findings USING btree (resolved_at) WHERE (resolved_at IS NOT NULL);

CREATE INDEX first_logins_expired ON public.first_logins USING btree (expires_at);

CREATE INDEX first_logins_instance ON public.first_logins USING btree (instance_id);

CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at);

CREATE INDEX inbox_hints ON public.inbox USING btree (received_at) WHERE (type ~~ 'dev.knative.%'::text);

CREATE INDEX inbox_received ON public.inbox USING btree (received_at) WHERE (type !~~ 'dev.knative.%'::text);

CREATE INDEX instance_keys_collect ON public.instance_keys USING btree (collect_at) WHERE (collect_at IS NOT NULL);

CREATE INDEX instance_keys_retain ON public.instance_keys USING btree (retain_at);

CREATE INDEX instances_cloned_from ON public.instances USING btree (cloned_from) WHERE (cloned_from IS NOT NULL);

CREATE INDEX instances_created ON public.instances USING btree (created_at, id);

CREATE INDEX instances_customer ON public.instances USING btree (customer_id);

CREATE INDEX instances_customer_created ON public.instances USING btree (customer_id, created_at, id);

CREATE INDEX instances_db_server ON public.instances USING btree (db_server_id);

CREATE INDEX instances_purge_after ON public.instances USING btree (purge_after) WHERE ((purged_at IS NULL) AND (purge_after IS NOT NULL));

CREATE INDEX instances_shard ON public.instances USING btree ("left"(id, 1), id);

CREATE INDEX kill_bill_accounts_due ON public.kill_bill_accounts USING btree (look_at) WHERE (look_at IS NOT NULL);

CREATE INDEX kill_bill_payments_told ON public.kill_bill_payments USING btree (told_at);

CREATE INDEX kill_bill_subscriptions_account ON public.kill_bill_subscriptions USING btree (account_id);

CREATE INDEX loads_backup ON public.loads USING btree (backup_id) WHERE (state = 'running'::text);

CREATE INDEX loads_instance ON public.loads USING btree (instance_id, started_at);

CREATE INDEX mails_due ON public.mails USING btree (next_attempt_at) WHERE (state = 'queued'::text);

CREATE INDEX mails_instance ON public.mails USING btree (instance_id, created_at);

CREATE INDEX mails_old ON public.mails USING btree (created_at) WHERE (state <> 'queued'::text);

CREATE INDEX operations_created ON public.operations USING btree (created_at, id);

CREATE INDEX operations_due ON public.operations USING btree (next_check_at) WHERE (state = ANY (ARRAY['queued'::text, 'running'::text, 'waiting'::text]));

CREATE INDEX operations_instance ON public.operations USING btree (instance_id, created_at);

CREATE UNIQUE INDEX operations_one_active ON public.operations USING btree (instance_id) WHERE (state = ANY (ARRAY['running'::text, 'waiting'::text]));

CREATE INDEX outbox_published ON public.outbox USING btree (published_at) WHERE (published_at IS NOT NULL);

CREATE INDEX outbox_waiting ON public.outbox USING btree (attempts, sequence) WHERE (published_at IS NULL);

CREATE INDEX purge_findings_instance ON public.purge_findings USING btree (instance_id, at);

CREATE INDEX restores_instance ON public.restores USING btree (instance_id, started_at);

CREATE INDEX restores_kept ON public.restores USING btree (COALESCE(drop_after, keep_until)) WHERE ((state = 'succeeded'::text) AND (taken_back_by IS NULL) AND (dropped_at IS NULL));

CREATE INDEX subscriptions_customer ON public.subscriptions USING btree (customer_id);

CREATE INDEX subscriptions_due ON public.subscriptions USING btree (action_due_at) WHERE (action_due_at IS NOT NULL);

CREATE INDEX subscriptions_instance ON public.subscriptions USING btree (instance_id);

CREATE UNIQUE INDEX suspensions_open ON public.suspensions USING btree (instance_id, reason) WHERE (closed_at IS NULL);

CREATE INDEX verifications_backup ON public.verifications USING btree (backup_id, started_at);

CREATE INDEX verifications_instance ON public.verifications USING btree (instance_id, started_at);

CREATE INDEX verifications_running ON public.verifications USING btree (server_id) WHERE (state = 'running'::text);

CREATE INDEX webhook_attempts_delivery ON public.webhook_attempts USING btree (delivery_id, sequence);

CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (endpoint_id, next_attempt_at) WHERE (state = 'waiting'::text);

CREATE INDEX webhook_deliveries_leased ON public.webhook_deliveries USING btree (endpoint_id, leased_until) WHERE (leased_until IS NOT NULL);

CREATE INDEX webhook_deliveries_list ON public.webhook_deliveries USING btree (endpoint_id, created_at);

CREATE INDEX webhook_deliveries_old ON public.webhook_deliveries USING btree (created_at) WHERE (state <> 'waiting'::text);

CREATE INDEX webhook_endpoints_customer ON public.webhook_endpoints USING btree (customer_id, created_at) WHERE (deleted_at IS NULL);

CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.backup_requests
    ADD CONSTRAINT backup_requests_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.backups
    ADD CONSTRAINT backups_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.backups
    ADD CONSTRAINT backups_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.backups
    ADD CONSTRAINT backups_previous_id_fkey FOREIGN KEY (previous_id) REFERENCES public.backups(id);

ALTER TABLE ONLY public.backups
    ADD CONSTRAINT backups_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.db_servers(id);

ALTER TABLE ONLY public.billing_requests
    ADD CONSTRAINT billing_requests_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.custom_domains
    ADD CONSTRAINT custom_domains_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.customer_standings
    ADD CONSTRAINT customer_standings_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_backup_id_fkey FOREIGN KEY (backup_id) REFERENCES public.backups(id);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES public.operations(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.instance_keys
    ADD CONSTRAINT instance_keys_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_cloned_backup_fkey FOREIGN KEY (cloned_backup) REFERENCES public.backups(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_cloned_from_fkey FOREIGN KEY (cloned_from) REFERENCES public.instances(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_cluster_id_fkey FOREIGN KEY (cluster_id) REFERENCES public.clusters(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_db_server_id_fkey FOREIGN KEY (db_server_id) REFERENCES public.db_servers(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.images(id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.plans(id);

ALTER TABLE ONLY public.kill_bill_payments
    ADD CONSTRAINT kill_bill_payments_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.kill_bill_accounts(id);

ALTER TABLE ONLY public.kill_bill_subscriptions
    ADD CONSTRAINT kill_bill_subscriptions_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.kill_bill_accounts(id);

ALTER TABLE ONLY public.loads
    ADD CONSTRAINT loads_backup_id_fkey FOREIGN KEY (backup_id) REFERENCES public.backups(id);

ALTER TABLE ONLY public.loads
    ADD CONSTRAINT loads_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.loads
    ADD CONSTRAINT loads_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.db_servers(id);

ALTER TABLE ONLY public.operation_steps
    ADD CONSTRAINT operation_steps_operation_id_fkey FOREIGN KEY (operation_id) REFERENCES public.operations(id);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.operations
    ADD CONSTRAINT operations_overtaken_by_fkey FOREIGN KEY (overtaken_by) REFERENCES public.operations(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.purge_findings
    ADD CONSTRAINT purge_findings_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.restores
    ADD CONSTRAINT restores_backup_id_fkey FOREIGN KEY (backup_id) REFERENCES public.backups(id);

ALTER TABLE ONLY public.restores
    ADD CONSTRAINT restores_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.restores
    ADD CONSTRAINT restores_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.db_servers(id);

ALTER TABLE ONLY public.restores
    ADD CONSTRAINT restores_taken_back_by_fkey FOREIGN KEY (taken_back_by) REFERENCES public.restores(id);

ALTER TABLE ONLY public.restores
    ADD CONSTRAINT restores_undoes_fkey FOREIGN KEY (undoes) REFERENCES public.restores(id);

ALTER TABLE ONLY public.sources
    ADD CONSTRAINT sources_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.subscriptions
    ADD CONSTRAINT subscriptions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);

ALTER TABLE ONLY public.suspensions
    ADD CONSTRAINT suspensions_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_backup_id_fkey FOREIGN KEY (backup_id) REFERENCES public.backups(id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id);

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.db_servers(id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES public.webhook_deliveries(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.webhook_endpoints(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_sequences
    ADD CONSTRAINT webhook_sequences_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.webhook_endpoints(id) ON DELETE CASCADE;
