import * as v from 'valibot';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { KeptAnswer } from '#shared/adapters/postgres/idempotency-keys.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { AcceptedOperation } from '#shared/runtime/requests/ask.ts';
import { once, type Worked } from '#shared/runtime/requests/once.ts';
import type { ApiPorts } from '../ports.ts';
import type { Call, Reply, ResponseOf } from '../route.ts';
import { operationBody, operationExample, readOperations, toOperationBody } from '../views/operation.ts';

// What all routes have in common that ask for an operation.

export const acceptedSchema = v.strictObject({
  ...operationBody.entries,
  /** `coalesced`: one that was unfinished is what was asked for. `repeated`: it was asked for before under this key. */
  outcome: v.picklist(['accepted', 'coalesced', 'repeated']),
});

/** An operation as its request left it. */
export function acceptedExample(kind: OperationKind): v.InferOutput<typeof acceptedSchema> {
  const untouched = { state: 'queued', step: null, progress: null, waitingFor: null, startedAt: null } as const;
  return { ...operationExample, ...untouched, kind, outcome: 'accepted' };
}

/** In the document, of every answer that names an operation. */
export function acceptedResponse(kind: OperationKind): ResponseOf {
  return {
    description: 'It is recorded, and will be done whatever happens to this server. Its operation tells how far it is.',
    schema: acceptedSchema,
    example: acceptedExample(kind),
    headers: { location: 'Where the operation is.', 'retry-after': 'Seconds after which it is worth to look at it.' },
  };
}

const texts = {
  400: 'Something in the request is wrong; `errors` says what.',
  404: 'There is no such thing among those you may name.',
  409: 'It is not possible as things are.',
  412: 'The instance is at another generation than If-Match says.',
  422: 'The Idempotency-Key stands for another request.',
} as const;

/** In the document, of the answers to requests that are refused. */
export function refusals(...statuses: (keyof typeof texts)[]): Record<number, ResponseOf> {
  return Object.fromEntries(
    statuses.map((status) => [status, { description: texts[status], type: 'application/problem+json' }]),
  );
}

export const keyHeader = {
  'idempotency-key':
    'Your own name for this call, 1 to 128 printable characters without blanks: repeated within 7 days it is answered as the first time, and nothing is done twice.',
} as const;

export const matchHeader = {
  'if-match': 'The ETag of the instance that you have read: refused with 412 when its generation is another by now.',
} as const;

/** The operations that requests came to, as the API shows them, with what became of each request. */
export async function bodiesOf(transaction: Queryable, asked: readonly AcceptedOperation[]) {
  const rows = await readOperations(
    transaction,
    asked.map(({ id }) => id),
  );
  const byId = new Map(rows.map((row) => [row.id, toOperationBody(row)]));
  return asked.flatMap(({ id, outcome }) => {
    const body = byId.get(id);
    return body === undefined ? [] : [{ ...body, outcome }];
  });
}

/** The operation, and where it is to be found. */
export async function replyOf(transaction: Queryable, asked: AcceptedOperation): Promise<KeptAnswer> {
  const [body] = await bodiesOf(transaction, [asked]);
  return { status: 202, headers: { location: `/v1/operations/${asked.id}`, 'retry-after': '1' }, body };
}

/** Does what a call asks, once per key; what it wrote to the outbox is published before the answer. */
export async function perform(
  { database, cache, flush }: Pick<ApiPorts, 'database' | 'cache' | 'flush'>,
  { call, operationId }: { call: Call; operationId: string },
  work: (transaction: Queryable) => Promise<Worked>,
): Promise<Reply> {
  const { principal, params, query, body, headers } = call;
  const asked = { operationId, params, query, body, ifMatch: headers['if-match'] };
  const { isRepeated, ...answer } = await once(
    database,
    { principal, key: headers['idempotency-key'], asked: JSON.parse(JSON.stringify(asked)) },
    work,
  );
  // At once: whoever asks next is to see what was accepted.
  await Promise.all([flush(), ...instancesIn(answer.body).map((id) => cache.invalidate('instance', id))]);
  return isRepeated ? { ...answer, headers: { ...answer.headers, 'idempotency-replayed': 'true' } } : answer;
}

/** Does what asks for one operation, and answers with it or with its refusal. */
export async function accept(
  ports: Pick<ApiPorts, 'database' | 'cache' | 'flush'>,
  asked: { call: Call; operationId: string },
  work: (transaction: Queryable) => Promise<AcceptedOperation | Failure>,
): Promise<Reply> {
  return await perform(ports, asked, async (transaction) => {
    const accepted = await work(transaction);
    return accepted instanceof Failure ? accepted : await replyOf(transaction, accepted);
  });
}

/** The instances that an answer is about. */
function instancesIn(body: unknown): string[] {
  type Named = { instanceId?: string; operation?: { instanceId: string } | null; items?: { instanceId: string }[] };
  const { instanceId, operation, items = [] } = body as Named;
  const named = [instanceId, operation?.instanceId, ...items.map((item) => item.instanceId)];
  return named.filter((id) => id !== undefined);
}

export function askerOf({ principal, headers }: Call): { principal: Call['principal']; key: string | undefined } {
  return { principal, key: headers['idempotency-key'] };
}

/**
 * The generation that the caller has seen, from the tag of what he read, which begins with it. Undefined: any will do.
 * @throws Failure `invalid-request`.
 */
export function generationSeen({ headers }: Call): number | undefined {
  const stated = headers['if-match'];
  if (stated === undefined || stated.trim() === '*') return undefined;
  const [, generation] = /^\s*"g?(\d{1,15})(?:[-.][^",]*)?"\s*$/.exec(stated) ?? [];
  if (generation !== undefined) return Number(generation);
  const text = 'header.if-match: must be the ETag of the instance, as it was read, or "*"';
  throw new Failure('invalid-request', text, { facts: { field: 'header.if-match' } });
}
