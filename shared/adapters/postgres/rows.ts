import type { BillingPolicy, CustomerStanding } from '#shared/domain/billing/policy.ts';
import type { BillingRequestKind } from '#shared/domain/billing/requests.ts';
import type { Place } from '#shared/domain/drift/findings.ts';
import type { DriftKind } from '#shared/domain/drift/policy.ts';
import type { InstanceStatus, SuspensionReason } from '#shared/domain/instance/instance.ts';
import type { OperationKind, OperationState } from '#shared/domain/operation/operation.ts';

/** PostgreSQL's type names to the values both drivers give for them. `bigint` is a number by our own parser. */
type Values = {
  text: string;
  integer: number;
  bigint: number;
  boolean: boolean;
  uuid: string;
  'text[]': string[];
  jsonb: unknown;
  bytea: Buffer;
  timestamptz: Date;
};
type TypeName = keyof Values;

/** A column: its type's name, with `?` where it may be null. */
type Column = TypeName | `${TypeName}?`;

/** Every table with its columns, as the migrations make them; a test compares them with a live database. */
export const tables = {
  plans: {
    id: 'text',
    cpu_millis: 'integer',
    memory_mib: 'integer',
    disk_gib: 'integer',
    workers: 'integer',
    cron_threads: 'integer',
    database_connections: 'integer',
    replicas: 'integer',
    created_at: 'timestamptz',
    undo_days: 'integer',
    grace_days: 'integer',
    on_overdue: 'text',
    on_cancellation: 'text',
    on_expiry: 'text',
  },
  images: {
    id: 'text',
    reference: 'text',
    odoo_version: 'text',
    edition: 'text',
    addons_digest: 'text',
    languages: 'text[]',
    warm_target: 'integer',
    status: 'text',
    created_at: 'timestamptz',
  },
  customers: { id: 'text', quota: 'integer', created_at: 'timestamptz' },
  clusters: {
    id: 'text',
    base_domain: 'text',
    scheme: 'text',
    public_port: 'integer?',
    created_at: 'timestamptz',
  },
  db_servers: {
    id: 'text',
    host: 'text',
    port: 'integer',
    admin_user: 'text',
    secret_key: 'text',
    ssl_mode: 'text',
    max_instances: 'integer',
    instance_count: 'integer',
    priority: 'integer',
    status: 'text',
    reached_at: 'timestamptz?',
    server_version: 'integer?',
    created_at: 'timestamptz',
  },
  instances: {
    id: 'text',
    customer_id: 'text',
    name: 'text',
    host: 'text?',
    cluster_id: 'text',
    plan_id: 'text',
    image_id: 'text',
    db_server_id: 'text?',
    modules: 'text[]',
    settings: 'jsonb',
    admin_login: 'text',
    language: 'text',
    desired_state: 'text',
    generation: 'bigint',
    observed_generation: 'bigint',
    status: 'text',
    status_reason: 'text?',
    purged_at: 'timestamptz?',
    created_at: 'timestamptz',
    updated_at: 'timestamptz',
    restarted_by: 'uuid?',
    terminated_at: 'timestamptz?',
    purge_after: 'timestamptz?',
    desired_before: 'text?',
    observation: 'text?',
    observation_reason: 'text?',
    observation_at: 'timestamptz?',
  },
  suspensions: {
    id: 'bigint',
    instance_id: 'text',
    reason: 'text',
    opened_at: 'timestamptz',
    closed_at: 'timestamptz?',
    cause: 'text',
  },
  subscriptions: {
    source: 'text',
    id: 'text',
    instance_id: 'text?',
    customer_id: 'text',
    plan_id: 'text',
    sequence: 'bigint',
    updated_at: 'timestamptz',
    phase: 'text',
    paid: 'boolean',
    overdue_since: 'timestamptz?',
    ends_at: 'timestamptz?',
    ends_by: 'text?',
    configuration: 'jsonb?',
    configuration_sequence: 'bigint?',
    cause: 'text',
    action_due_at: 'timestamptz?',
  },
  customer_standings: {
    source: 'text',
    customer_id: 'text',
    standing: 'text',
    sequence: 'bigint',
    cause: 'text',
    updated_at: 'timestamptz',
  },
  billing_requests: {
    instance_id: 'text',
    customer_id: 'text',
    kind: 'text',
    is_suspended: 'boolean',
    is_terminated: 'boolean',
    sequence: 'bigint',
    event_id: 'uuid',
    data: 'jsonb',
    asked_at: 'timestamptz',
    resends: 'integer',
    check_at: 'timestamptz?',
  },
  sources: {
    source: 'text',
    event_type: 'text',
    customer_id: 'text?',
    created_at: 'timestamptz',
    must_sign: 'boolean',
  },
  source_keys: {
    source: 'text',
    key_id: 'text',
    public_key: 'text',
    created_at: 'timestamptz',
  },
  operations: {
    id: 'uuid',
    instance_id: 'text',
    kind: 'text',
    definition_version: 'integer',
    state: 'text',
    step: 'text?',
    attempt: 'integer',
    round: 'integer',
    fence: 'bigint',
    lease_holder: 'text?',
    lease_until: 'timestamptz?',
    woken: 'boolean',
    next_check_at: 'timestamptz?',
    waiting_for: 'text?',
    deadline: 'timestamptz',
    cancel_requested: 'boolean',
    idempotency_key: 'text',
    requested_by: 'text',
    cause: 'text',
    request: 'jsonb',
    result: 'jsonb?',
    error_code: 'text?',
    error_text: 'text?',
    created_at: 'timestamptz',
    started_at: 'timestamptz?',
    finished_at: 'timestamptz?',
    told_at: 'timestamptz?',
    not_before: 'timestamptz?',
    overtaken_by: 'uuid?',
  },
  operation_steps: {
    operation_id: 'uuid',
    step: 'text',
    attempt: 'integer',
    fence: 'bigint',
    started_at: 'timestamptz',
    finished_at: 'timestamptz?',
    outcome: 'text?',
    error_code: 'text?',
    error_text: 'text?',
  },
  streams: { source: 'text', stream: 'text', sequence: 'bigint', updated_at: 'timestamptz' },
  leases: { name: 'text', holder: 'text', until: 'timestamptz' },
  inbox: {
    source: 'text',
    id: 'text',
    type: 'text',
    data_hash: 'bytea',
    operation_id: 'uuid?',
    outcome: 'text',
    received_at: 'timestamptz',
  },
  outbox: {
    sequence: 'bigint',
    id: 'uuid',
    type: 'text',
    source: 'text',
    subject: 'text?',
    data: 'jsonb',
    extensions: 'jsonb',
    created_at: 'timestamptz',
    published_at: 'timestamptz?',
    attempts: 'integer',
    last_error: 'text?',
  },
  dead_events: {
    sequence: 'bigint',
    source: 'text?',
    id: 'text?',
    type: 'text?',
    received_by: 'text',
    reason_code: 'text',
    reason: 'text',
    content_type: 'text?',
    attributes: 'jsonb',
    body: 'bytea',
    digest: 'bytea',
    deliveries: 'integer',
    received_at: 'timestamptz',
    replayed_at: 'timestamptz?',
    origin: 'text?',
    error_code: 'integer?',
    error_data: 'text?',
    class: 'text',
    state: 'text',
    replays: 'integer',
    next_replay_at: 'timestamptz?',
    last_error: 'text?',
    is_whole: 'boolean',
  },
  findings: {
    kind: 'text',
    subject: 'text',
    shard: 'text',
    place: 'text',
    instance_id: 'text?',
    detail: 'text',
    first_seen: 'timestamptz',
    last_seen: 'timestamptz',
    resolved_at: 'timestamptz?',
    repairs: 'integer',
    next_repair_at: 'timestamptz?',
  },
  reconcile_shards: {
    shard: 'text',
    due_at: 'timestamptz',
    holder: 'text?',
    until: 'timestamptz?',
    passed_at: 'timestamptz?',
    blind: 'text[]',
  },
  audit: {
    sequence: 'bigint',
    at: 'timestamptz',
    actor: 'text',
    action: 'text',
    instance_id: 'text?',
    operation_id: 'uuid?',
    detail: 'jsonb',
  },
} as const satisfies Record<string, Record<string, Column>>;

/** Columns that a check constraint limits to a closed list of words, or that hold JSON of a known shape. */
type Narrower = {
  plans: {
    on_overdue: BillingPolicy['onOverdue'];
    on_cancellation: BillingPolicy['onCancellation'];
    on_expiry: BillingPolicy['onExpiry'];
  };
  images: { edition: 'community' | 'enterprise'; status: 'active' | 'retired' };
  clusters: { scheme: 'http' | 'https' };
  db_servers: { ssl_mode: 'disable' | 'require' | 'verify-full'; status: 'active' | 'maintenance' | 'error' };
  instances: {
    desired_state: 'running' | 'stopped' | 'terminated';
    status: InstanceStatus;
    settings: Record<string, string | number | boolean>;
    desired_before: 'running' | 'stopped' | null;
    observation: 'unavailable' | 'gone' | null;
  };
  suspensions: { reason: SuspensionReason };
  subscriptions: { phase: 'trial' | 'evergreen'; ends_by: 'cancellation' | 'expiry' | null };
  customer_standings: { standing: CustomerStanding };
  billing_requests: { kind: BillingRequestKind };
  operations: { kind: OperationKind; state: OperationState };
  operation_steps: { outcome: 'done' | 'waiting' | 'failed' | 'undone' | null };
  outbox: { extensions: Record<string, string> };
  dead_events: {
    attributes: Record<string, string>;
    class: 'transient' | 'permanent' | 'unknown';
    state: 'waiting' | 'replayed' | 'resolved' | 'given-up';
  };
  findings: { kind: DriftKind; place: Place };
  audit: { detail: Record<string, unknown> };
};

type ValueOf<C> = C extends `${infer T extends TypeName}?` ? Values[T] | null : C extends TypeName ? Values[C] : never;
type Narrowed<Table> = Table extends keyof Narrower ? Narrower[Table] : Record<never, never>;

/** A whole row of a table, `select *`. */
export type Row<Table extends keyof typeof tables> = Narrowed<Table> & {
  -readonly [Name in Exclude<keyof (typeof tables)[Table], keyof Narrowed<Table>>]: ValueOf<
    (typeof tables)[Table][Name]
  >;
};
