import * as v from 'valibot';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { instanceStatuses, suspensionReasons } from '#shared/domain/instance/instance.ts';
import { operationKinds } from '#shared/domain/operation/operation.ts';
import { idText, instanceId, time, uuidText } from '../schemas.ts';
import { operationStates } from './operation.ts';

const whole = v.pipe(v.number(), v.integer());

/** An instance as lists show it. */
export const instanceBody = v.strictObject({
  id: instanceId,
  customerId: idText,
  name: v.string(),
  /** Null once it was given up. */
  host: v.nullable(v.string()),
  /** Where people reach it. */
  url: v.nullable(v.string()),
  status: v.picklist(instanceStatuses),
  statusReason: v.nullable(v.string()),
  desiredState: v.picklist(['running', 'stopped', 'terminated']),
  suspensions: v.array(v.picklist(suspensionReasons)),
  plan: idText,
  image: idText,
  language: v.string(),
  clonedFrom: v.nullable(instanceId),
  /** Grows with every change of what is wanted. */
  generation: whole,
  /** The last one that was brought about; 0 until it was made. */
  observedGeneration: whole,
  createdAt: time,
  updatedAt: time,
  terminatedAt: v.nullable(time),
  /** When its data may be removed for good. */
  purgeAfter: v.nullable(time),
  purgedAt: v.nullable(time),
});

/** The newest backup that was restored and compared, and the newest at all. */
const backupPoint = v.nullable(v.strictObject({ id: uuidText, at: time }));

export const instanceDetailBody = v.strictObject({
  ...instanceBody.entries,
  adminLogin: v.string(),
  modules: v.array(v.string()),
  settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  /** The one that is at work on it, or the next in line. */
  operation: v.nullable(
    v.strictObject({
      id: uuidText,
      kind: v.picklist(operationKinds),
      state: v.picklist(operationStates),
      step: v.nullable(v.string()),
    }),
  ),
  backups: v.strictObject({ last: backupPoint, lastProven: backupPoint }),
  /** The newest restore that can be undone: when the database was exchanged, and until when what was before is kept. */
  undoableRestore: v.nullable(v.strictObject({ id: uuidText, at: time, until: time })),
  /** Only to callers that are not limited to one customer. */
  databaseServer: v.optional(v.nullable(idText)),
});

export const instanceExample: v.InferOutput<typeof instanceBody> = {
  id: 'abcdefghijkl',
  customerId: 'c-1',
  name: 'acme',
  host: 'acme.odoo.example',
  url: 'https://acme.odoo.example',
  status: 'running',
  statusReason: null,
  desiredState: 'running',
  suspensions: [],
  plan: 'small',
  image: 'odoo-19',
  language: 'en_US',
  clonedFrom: null,
  generation: 3,
  observedGeneration: 3,
  createdAt: '2027-02-01T10:00:00.000Z',
  updatedAt: '2027-02-03T08:30:00.000Z',
  terminatedAt: null,
  purgeAfter: null,
  purgedAt: null,
};

export const instanceDetailExample: v.InferOutput<typeof instanceDetailBody> = {
  ...instanceExample,
  adminLogin: 'owner@acme.example',
  modules: ['sale'],
  settings: { limit_time_real: 300 },
  operation: null,
  backups: {
    last: { id: '0198c0de-0000-7000-8000-000000000002', at: '2027-02-03T02:00:00.000Z' },
    lastProven: { id: '0198c0de-0000-7000-8000-000000000001', at: '2027-02-02T02:00:00.000Z' },
  },
  undoableRestore: {
    id: '0198c0de-0000-7000-8000-000000000003',
    at: '2027-02-03T08:30:00.000Z',
    until: '2027-02-06T08:31:00.000Z',
  },
};

type InstanceRow = Omit<Row<'instances'>, 'restarted_by' | 'desired_before' | 'cloned_backup' | 'fence_floor'> & {
  suspensions: Row<'suspensions'>['reason'][];
  scheme: 'http' | 'https';
  public_port: number | null;
};

/** Of `instances i join clusters c`. */
const columns = `i.id, i.customer_id, i.name, i.host, i.cluster_id, i.plan_id, i.image_id, i.db_server_id, i.modules, i.settings,
  i.admin_login, i.language, i.desired_state, i.generation, i.observed_generation, i.status, i.status_reason, i.purged_at,
  i.created_at, i.updated_at, i.terminated_at, i.purge_after, i.cloned_from, c.scheme, c.public_port,
  array(select s.reason from suspensions s where s.instance_id = i.id and s.closed_at is null order by s.reason) as suspensions`;

export const instanceList = {
  columns,
  from: 'instances i join clusters c on c.id = i.cluster_id',
  toBody: toInstanceBody,
};

export type { InstanceRow };

function toInstanceBody(row: InstanceRow) {
  const port = row.public_port === null ? '' : `:${row.public_port}`;
  return {
    id: row.id,
    customerId: row.customer_id,
    name: row.name,
    host: row.host,
    url: row.host === null ? null : `${row.scheme}://${row.host}${port}`,
    status: row.status,
    statusReason: row.status_reason,
    desiredState: row.desired_state,
    suspensions: row.suspensions,
    plan: row.plan_id,
    image: row.image_id,
    language: row.language,
    clonedFrom: row.cloned_from,
    generation: row.generation,
    observedGeneration: row.observed_generation,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    terminatedAt: row.terminated_at,
    purgeAfter: row.purge_after,
    purgedAt: row.purged_at,
  };
}

type DetailRow = InstanceRow & {
  operation: { id: string; kind: string; state: string; step: string | null } | null;
  last_id: string | null;
  last_at: Date | null;
  proven_id: string | null;
  proven_at: Date | null;
  restore_id: string | null;
  restored_at: Date | null;
  undoable_until: Date | null;
};

/** All of one instance, whoever asks; undefined when there is none. One statement. */
export async function readInstanceDetail(queryable: Queryable, id: string) {
  const { rows } = await queryable.query<DetailRow>(
    `select ${columns}, o.operation, last.id as last_id, last.snapshot_at as last_at, proven.id as proven_id,
       proven.snapshot_at as proven_at, restored.id as restore_id, restored.switched_at as restored_at,
       restored.keep_until as undoable_until
     from instances i join clusters c on c.id = i.cluster_id
     left join lateral (
       select jsonb_build_object('id', id, 'kind', kind, 'state', state, 'step', step) as operation from operations
       where instance_id = i.id and state in ('queued', 'running', 'waiting') order by state = 'queued', created_at limit 1
     ) o on true
     left join lateral (
       select id, snapshot_at from backups where instance_id = i.id and state = 'succeeded' order by snapshot_at desc limit 1
     ) last on true
     left join lateral (
       select id, snapshot_at from backups where instance_id = i.id and state = 'succeeded' and proof = 'proven'
       order by snapshot_at desc limit 1
     ) proven on true
     left join lateral (
       select id, switched_at, keep_until from restores
       where instance_id = i.id and state = 'succeeded' and taken_back_by is null and dropping_at is null
         and keep_until > clock_timestamp()
       order by started_at desc limit 1
     ) restored on true
     where i.id = $1`,
    [id],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    ...toInstanceBody(row),
    adminLogin: row.admin_login,
    modules: row.modules,
    settings: row.settings,
    operation: row.operation,
    backups: {
      last: row.last_id === null ? null : { id: row.last_id, at: row.last_at },
      lastProven: row.proven_id === null ? null : { id: row.proven_id, at: row.proven_at },
    },
    undoableRestore:
      row.restore_id === null ? null : { id: row.restore_id, at: row.restored_at, until: row.undoable_until },
    databaseServer: row.db_server_id,
  };
}

export type InstanceDetail = NonNullable<Awaited<ReturnType<typeof readInstanceDetail>>>;
