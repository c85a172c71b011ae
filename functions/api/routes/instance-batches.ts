import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { suspensionCause } from '#events/instance/operation-events.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { requireMayAsk } from '#shared/domain/access/asking.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type AcceptedOperation, prepare } from '#shared/runtime/requests/ask.ts';
import type { ApiPorts } from '../ports.ts';
import { problemOf } from '../problem.ts';
import { type Call, type Reply, type Route, route } from '../route.ts';
import { instanceId } from '../schemas.ts';
import { acceptedExample, acceptedSchema, askerOf, bodiesOf, keyHeader, perform, refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'cache' | 'eventSource' | 'flush'>;

const atMost = 100;

const body = v.strictObject({
  command: v.picklist(
    ['start', 'stop', 'restart', 'suspend', 'resume', 'backup', 'terminate'],
    'must be start, stop, restart, suspend, resume, backup or terminate',
  ),
  instances: v.pipe(
    v.array(instanceId),
    v.minLength(1, 'must name an instance'),
    v.maxLength(atMost, `must name at most ${atMost} instances`),
    v.check((ids) => new Set(ids).size === ids.length, 'must name each instance once'),
  ),
  /** Of a suspension or its end. */
  cause: v.optional(suspensionCause),
  reason: v.optional(fields.text(200)),
});

const result = v.strictObject({
  instanceId: fields.instanceId,
  /** As if it had been asked for alone. */
  status: fields.count,
  operation: v.nullable(acceptedSchema),
  code: v.nullable(fields.word),
  detail: v.nullable(v.string()),
});

const results = v.strictObject({ accepted: fields.count, refused: fields.count, items: v.array(result) });

/** One command for many instances. */
export function instanceBatchRoutes(ports: Ports): Route[] {
  const operationId = 'commandInstances';
  return [
    route({
      method: 'POST',
      path: '/v1/instances/batch',
      operationId,
      summary: `One command for up to ${atMost} instances, in one transaction. Each has its own result, in the order given.`,
      scope: 'instances:write',
      limit: 'write',
      body,
      bodyExample: { command: 'stop', instances: ['k3n5q2x7a4bc', 'm2p6r4t7b3cd'] },
      takes: keyHeader,
      deadlineMs: 30_000,
      responses: {
        200: {
          description: 'What became of each. What is accepted is recorded and will be done.',
          schema: results,
          example: {
            accepted: 1,
            refused: 1,
            items: [
              {
                instanceId: 'k3n5q2x7a4bc',
                status: 202,
                operation: { ...acceptedExample('stop'), instanceId: 'k3n5q2x7a4bc' },
                code: null,
                detail: null,
              },
              {
                instanceId: 'm2p6r4t7b3cd',
                status: 404,
                operation: null,
                code: 'not-found',
                detail: 'There is no instance m2p6r4t7b3cd.',
              },
            ],
          },
        },
        ...refusals(400, 422),
      },
      handle: (call) => askAll(ports, { call, operationId }),
    }),
  ];
}

type Asked = v.InferOutput<typeof body>;
type AskedCall = Call & { body: Asked };

async function askAll(ports: Ports, { call, operationId }: { call: AskedCall; operationId: string }): Promise<Reply> {
  const works = await prepareAll(ports, call, call.body);
  return await perform(ports, { call, operationId }, async (transaction) => {
    const asked: Result[] = [];
    for (const { id, work } of works) asked.push({ id, result: await work(transaction) });
    const items = await itemsOf(transaction, asked, { order: call.body.instances, requestId: call.requestId });
    const accepted = items.filter(({ operation }) => operation !== null).length;
    return { status: 200, headers: {}, body: { accepted, refused: items.length - accepted, items } };
  });
}

/** In the order of their ids, so that two batches do not wait for each other's locks crosswise. */
async function prepareAll(ports: Ports, call: Call, { command, instances, cause, reason }: Asked) {
  requireMayAsk(call.principal, command);
  const needsCause = command === 'suspend' || command === 'resume';
  if (needsCause !== (cause !== undefined)) {
    const text = `body.cause: must ${needsCause ? '' : 'not '}be stated for ${command}`;
    throw new Failure('invalid-request', text, { facts: { field: 'body.cause' } });
  }
  const data = { ...(cause && { cause }), ...(reason !== undefined && { reason }) };
  const asker = askerOf(call);
  return await Promise.all(
    instances.toSorted().map(async (id) => ({
      id,
      work: await prepare(ports, asker, { kind: command, instanceId: id, data }),
    })),
  );
}

type Result = { id: string; result: AcceptedOperation | Failure };

async function itemsOf(
  transaction: Queryable,
  asked: readonly Result[],
  { order, requestId }: { order: readonly string[]; requestId: string },
) {
  const accepted = asked.flatMap(({ result }) => (result instanceof Failure ? [] : [result]));
  const operations = new Map((await bodiesOf(transaction, accepted)).map((body) => [body.instanceId, body]));
  const items = asked.map(({ id: instanceId, result }) => {
    const operation = operations.get(instanceId) ?? null;
    if (!(result instanceof Failure)) return { instanceId, status: 202, operation, code: null, detail: null };
    const { status, code, detail } = problemOf(result, requestId).problem;
    return { instanceId, status, operation: null, code, detail };
  });
  return items.toSorted((one, other) => order.indexOf(one.instanceId) - order.indexOf(other.instanceId));
}
