import type { Queryable } from './database.ts';

/** How far an operation is, as whoever waits for it is told. */
export type OperationProgress = {
  id: string;
  kind: string;
  instance: string;
  state: 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled';
  step: string | null;
  attempt: number;
  waitingFor: string | null;
  /** What its Job tells of itself. */
  progress: unknown;
  error: { code: string; text: string } | null;
};

/** Of each of these operations; those that are not there are left out. */
export async function readProgress(queryable: Queryable, ids: readonly string[]): Promise<OperationProgress[]> {
  const { rows } = await queryable.query<OperationProgress>(
    `select id, kind, instance_id as instance, state, step, attempt, waiting_for as "waitingFor", progress,
       case when error_code is not null then jsonb_build_object('code', error_code, 'text', error_text) end as error
     from operations where id = any($1::uuid[])`,
    [ids],
  );
  return rows;
}

/** Is it there, among those this customer may see? Null: anybody's. */
export async function isVisibleOperation(
  queryable: Queryable,
  operationId: string,
  { customerId }: { customerId: string | null },
): Promise<boolean> {
  const { rowCount } = await queryable.query(
    `select 1 from operations o join instances i on i.id = o.instance_id
     where o.id = $1 and ($2::text is null or i.customer_id = $2)`,
    [operationId, customerId],
  );
  return rowCount > 0;
}
