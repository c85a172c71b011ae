import * as v from 'valibot';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import type { Principal } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { operationKinds } from '#shared/domain/operation/operation.ts';
import { instanceId, time, uuidText } from '../schemas.ts';

export const operationStates = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'] as const;

export const errorBody = v.nullable(v.strictObject({ code: v.string(), text: v.string() }));

/** An operation as the API shows it. */
export const operationBody = v.strictObject({
  id: uuidText,
  instanceId,
  kind: v.picklist(operationKinds),
  state: v.picklist(operationStates),
  step: v.nullable(v.string()),
  attempt: v.number(),
  /** Of its long work, such as bytes done; what it holds depends on the kind. */
  progress: v.nullable(v.record(v.string(), v.unknown())),
  waitingFor: v.nullable(v.string()),
  cancelRequested: v.boolean(),
  error: errorBody,
  result: v.nullable(v.record(v.string(), v.unknown())),
  requestedBy: v.string(),
  createdAt: time,
  startedAt: v.nullable(time),
  finishedAt: v.nullable(time),
  deadline: time,
});

export const operationExample: v.InferOutput<typeof operationBody> = {
  id: '0198c0de-0000-7000-8000-000000000001',
  instanceId: 'abcdefghijkl',
  kind: 'backup',
  state: 'waiting',
  step: 'make-backup',
  attempt: 1,
  progress: { phase: 'dump', bytes: 1048576 },
  waitingFor: 'the Job that dumps and uploads',
  cancelRequested: false,
  error: null,
  result: null,
  requestedBy: 'user:u-1',
  createdAt: '2027-02-01T10:00:00.000Z',
  startedAt: '2027-02-01T10:00:00.100Z',
  finishedAt: null,
  deadline: '2027-02-01T16:00:00.000Z',
};

export type OperationRow = Pick<
  Row<'operations'>,
  | 'id'
  | 'instance_id'
  | 'kind'
  | 'state'
  | 'step'
  | 'attempt'
  | 'progress'
  | 'waiting_for'
  | 'cancel_requested'
  | 'error_code'
  | 'error_text'
  | 'result'
  | 'requested_by'
  | 'created_at'
  | 'started_at'
  | 'finished_at'
  | 'deadline'
>;

/** Of `operations o`. */
export const operationColumns = `o.id, o.instance_id, o.kind, o.state, o.step, o.attempt, o.progress, o.waiting_for,
  o.cancel_requested, o.error_code, o.error_text, o.result, o.requested_by, o.created_at, o.started_at, o.finished_at,
  o.deadline`;

export function toOperationBody(row: OperationRow) {
  return {
    id: row.id,
    instanceId: row.instance_id,
    kind: row.kind,
    state: row.state,
    step: row.step,
    attempt: row.attempt,
    progress: row.progress,
    waitingFor: row.state === 'waiting' ? row.waiting_for : null,
    cancelRequested: row.cancel_requested,
    error: row.error_code === null ? null : { code: row.error_code, text: row.error_text ?? '' },
    result: row.result,
    requestedBy: row.requested_by,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    deadline: row.deadline,
  };
}

export function isOver(state: OperationRow['state']): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

/** The caller's own operation. @throws Failure `not-found`, also for somebody else's. */
export async function findOperation(
  queryable: Queryable,
  { id, principal }: { id: string; principal: Pick<Principal, 'customerId'> },
): Promise<OperationRow> {
  const { rows } = await queryable.query<OperationRow>(
    `select ${operationColumns} from operations o join instances i on i.id = o.instance_id
     where o.id = $1 and ($2::text is null or i.customer_id = $2)`,
    [id, principal.customerId],
  );
  const [row] = rows;
  if (row === undefined) throw new Failure('not-found', 'There is no such operation.', { facts: { field: 'path.id' } });
  return row;
}

/** Those of these operations that are there, whoever's they are. */
export async function readOperations(queryable: Queryable, ids: readonly string[]): Promise<OperationRow[]> {
  const { rows } = await queryable.query<OperationRow>(
    `select ${operationColumns} from operations o where o.id = any($1::uuid[])`,
    [ids],
  );
  return rows;
}
