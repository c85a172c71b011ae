import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { suspensionCause } from '#events/instance/operation-events.ts';
import { requireMayDestroy } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type AcceptedOperation, prepare } from '#shared/runtime/requests/ask.ts';
import type { ApiPorts } from '../ports.ts';
import { problemOf } from '../problem.ts';
import { type Call, type Route, route } from '../route.ts';
import { instanceId } from '../schemas.ts';
import { acceptedExample, acceptedSchema, askerOf, keyHeader, perform, refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'cache' | 'eventSource' | 'flush'>;

const atMost = 100;
/** Each publishes what one flush takes; the tick sends the rest. */
const flushesAtMost = 5;

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
  instance: fields.instanceId,
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
                instance: 'k3n5q2x7a4bc',
                status: 202,
                operation: { ...acceptedExample, kind: 'stop' },
                code: null,
                detail: null,
              },
              {
                instance: 'm2p6r4t7b3cd',
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
      async handle(call) {
        const works = await prepareAll(ports, call, call.body);
        const reply = await perform(ports, { call, operationId }, async (transaction) => {
          const found = new Map<string, ReturnType<typeof resultOf>>();
          for (const { id, work } of works) found.set(id, resultOf(id, await work(transaction), call.requestId));
          const items = call.body.instances.flatMap((id) => found.get(id) ?? []);
          const accepted = items.filter(({ operation }) => operation !== null).length;
          return { status: 200, headers: {}, body: { accepted, refused: items.length - accepted, items } };
        });
        // two events each
        const flushes = Math.min(flushesAtMost, Math.ceil(works.length / 10));
        for (let flush = 1; flush < flushes; flush += 1) await ports.flush();
        return reply;
      },
    }),
  ];
}

type Asked = v.InferOutput<typeof body>;

/** In the order of their ids, so that two batches do not wait for each other's locks crosswise. */
async function prepareAll(ports: Ports, call: Call, { command, instances, cause, reason }: Asked) {
  if (command === 'terminate') requireMayDestroy(call.principal);
  const isProviders = command === 'suspend' || command === 'resume';
  if (isProviders && call.principal.customerId !== null) {
    throw new Failure('forbidden', `A ${command} is the provider's to ask for.`);
  }
  if (isProviders !== (cause !== undefined)) {
    const text = `body.cause: must ${isProviders ? '' : 'not '}be stated for ${command}`;
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

function resultOf(id: string, asked: AcceptedOperation | Failure, requestId: string) {
  if (!(asked instanceof Failure)) {
    const { id: operation, kind, outcome } = asked;
    return {
      instance: id,
      status: 202,
      operation: { id: operation, kind, instance: id, outcome },
      code: null,
      detail: null,
    };
  }
  const { status, code, detail } = problemOf(asked, requestId).problem;
  return { instance: id, status, operation: null, code, detail };
}
