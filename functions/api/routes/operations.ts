import * as v from 'valibot';
import { operationKinds } from '#shared/domain/operation/operation.ts';
import { listOf, listQuery, readPage, wordsOf } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { idText, instanceId, time, uuidText } from '../schemas.ts';
import {
  errorBody,
  findOperation,
  isOver,
  type OperationRow,
  operationBody,
  operationColumns,
  operationExample,
  operationStates,
  toOperationBody,
} from '../views/operation.ts';

const stepBody = v.strictObject({
  step: v.string(),
  attempt: v.number(),
  startedAt: time,
  finishedAt: v.nullable(time),
  outcome: v.nullable(v.picklist(['done', 'waiting', 'failed', 'undone'])),
  error: errorBody,
});

const detailBody = v.strictObject({ ...operationBody.entries, steps: v.array(stepBody) });
const stepExample = {
  step: 'make-backup',
  attempt: 1,
  startedAt: '2027-02-01T10:00:00.100Z',
  finishedAt: null,
  outcome: null,
  error: null,
};

const query = v.strictObject({
  ...listQuery(['createdAt', 'finishedAt']),
  instance: v.optional(instanceId),
  customer: v.optional(idText),
  state: v.optional(wordsOf(operationStates)),
  kind: v.optional(wordsOf(operationKinds)),
});

/** A poll that comes sooner learns little. */
const pollAfterS = '2';

export function operationRoutes(ports: Pick<ApiPorts, 'database'>): Route[] {
  return [listOperations(ports), getOperation(ports)];
}

function listOperations({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/operations',
    operationId: 'listOperations',
    summary: 'What was asked for, and how far it is.',
    scope: 'operations:read',
    limit: 'read',
    query,
    fields: { of: 'items', names: Object.keys(operationBody.entries) },
    responses: {
      200: {
        description: 'A page of operations, newest first unless sorted otherwise.',
        schema: listOf(operationBody),
        example: { items: [operationExample], next: null },
      },
    },
    async handle({ query: asked, principal }) {
      const { rows, ...page } = await readPage<OperationRow>(
        database,
        {
          columns: operationColumns,
          from: 'operations o join instances i on i.id = o.instance_id',
          conditions: [
            ['$::text is null or i.customer_id = $', principal.customerId],
            ['o.instance_id = $', asked.instance],
            ['i.customer_id = $', asked.customer],
            ['o.state = any($)', asked.state],
            ['o.kind = any($)', asked.kind],
          ],
          sorts: {
            createdAt: { sql: 'o.created_at', type: 'timestamptz' },
            // what is not over yet comes last in time
            finishedAt: { sql: `coalesce(o.finished_at, timestamptz '9999-01-01')`, type: 'timestamptz' },
          },
          id: { sql: 'o.id', type: 'uuid' },
        },
        asked,
      );
      return { status: 200, body: { items: rows.map(toOperationBody), ...page } };
    },
  });
}

function getOperation({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/operations/{id}',
    operationId: 'getOperation',
    summary: 'One operation with its steps. Poll it with If-None-Match, or follow its events.',
    scope: 'operations:read',
    limit: 'read',
    params: v.strictObject({ id: uuidText }),
    fields: { of: 'body', names: Object.keys(detailBody.entries) },
    responses: {
      200: {
        description: 'The operation. While it is not over, Retry-After says when to ask again.',
        schema: detailBody,
        example: { ...operationExample, steps: [stepExample] },
        headers: { 'Retry-After': 'Seconds until it is worth asking again; only while it is not over.' },
      },
    },
    async handle({ params, principal }) {
      const found = await findOperation(database, { id: params.id, principal });
      const { rows } = await database.query<StepRow>(
        `select step, attempt, started_at, finished_at, outcome, error_code, error_text from operation_steps
         where operation_id = $1 order by started_at, fence, attempt`,
        [found.id],
      );
      return {
        status: 200,
        body: { ...toOperationBody(found), steps: rows.map(toStepBody) },
        ...(isOver(found.state) ? {} : { headers: { 'retry-after': pollAfterS } }),
      };
    },
  });
}

type StepRow = {
  step: string;
  attempt: number;
  started_at: Date;
  finished_at: Date | null;
  outcome: string | null;
  error_code: string | null;
  error_text: string | null;
};

const toStepBody = (row: StepRow) => ({
  step: row.step,
  attempt: row.attempt,
  startedAt: row.started_at,
  finishedAt: row.finished_at,
  outcome: row.outcome,
  error: row.error_code === null ? null : { code: row.error_code, text: row.error_text ?? '' },
});
