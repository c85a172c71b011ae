import type { BackupKind, BackupState, ProofState, VerificationState } from '#shared/domain/backup/backup.ts';
import type { Trace } from '#shared/domain/backup/deletion-certificate.ts';
import type { ExportState } from '#shared/domain/backup/export.ts';
import type { LoadState } from '#shared/domain/backup/load-ports.ts';
import type { LoadResult } from '#shared/domain/backup/load-result.ts';
import type { RestoreState } from '#shared/domain/backup/restore-ports.ts';
import type { BillingPolicy, CustomerStanding } from '#shared/domain/billing/policy.ts';
import type { BillingRequestKind } from '#shared/domain/billing/requests.ts';
import type { Place } from '#shared/domain/drift/findings.ts';
import type { DriftKind } from '#shared/domain/drift/policy.ts';
import type { InstanceStatus, ServerPurpose, SuspensionReason } from '#shared/domain/instance/instance.ts';
import type { MailState } from '#shared/domain/notification/mail.ts';
import type { MailTemplate } from '#shared/domain/notification/templates.ts';
import type { OperationKind, OperationState } from '#shared/domain/operation/operation.ts';
import type { VisibleType } from '#shared/domain/webhook/visible-events.ts';
import type { DeliveryState, DisabledReason } from '#shared/domain/webhook/webhook.ts';

import type { TypeName, tables } from './tables.ts';

/** The values both drivers give for the types. `bigint` is a number by our own parser. */
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

/** Columns that a check constraint limits to a closed list of words, or that hold JSON of a known shape. */
type Narrower = {
  plans: {
    on_overdue: BillingPolicy['onOverdue'];
    on_cancellation: BillingPolicy['onCancellation'];
    on_expiry: BillingPolicy['onExpiry'];
  };
  images: { edition: 'community' | 'enterprise'; status: 'active' | 'retired' };
  clusters: { scheme: 'http' | 'https' };
  db_servers: {
    ssl_mode: 'disable' | 'require' | 'verify-full';
    status: 'active' | 'maintenance' | 'error';
    purpose: ServerPurpose;
  };
  instances: {
    desired_state: 'running' | 'stopped' | 'terminated';
    status: InstanceStatus;
    settings: Record<string, string | number | boolean>;
    desired_before: 'running' | 'stopped' | null;
    observation: 'unavailable' | 'gone' | null;
  };
  exports: { state: ExportState };
  suspensions: { reason: SuspensionReason };
  subscriptions: {
    phase: 'trial' | 'evergreen';
    ends_by: 'cancellation' | 'expiry' | null;
    trial: 'granted' | 'refused' | null;
  };
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
  backups: { kind: BackupKind; state: BackupState; proof: ProofState; summary: Record<string, unknown> };
  verifications: {
    state: VerificationState;
    differences: string[];
    boot: 'not-wanted' | 'wanted' | 'booted' | 'failed' | null;
  };
  purge_findings: { found: Trace[] };
  loads: { state: LoadState; result: LoadResult | null };
  restores: { state: RestoreState };
  backup_requests: { task: 'backup' | 'verify' };
  webhook_endpoints: { types: VisibleType[]; disabled_reason: DisabledReason | null };
  webhook_deliveries: { state: DeliveryState };
  mails: { state: MailState; template: MailTemplate };
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
