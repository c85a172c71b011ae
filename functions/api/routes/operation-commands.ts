import * as v from 'valibot';
import * as fields from '#events/fields.ts';
import { Failure } from '#shared/domain/failure.ts';
import { askCommand } from '#shared/runtime/requests/command.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { uuidText } from '../schemas.ts';
import { acceptedResponse, askerOf, keyHeader, perform, refusals, replyOf } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database' | 'cache' | 'eventSource' | 'flush'>;

const summaries = {
  retry: 'Goes on with a failed operation at the step where it stopped.',
  cancel: 'Undoes what an operation has made, where that is possible.',
} as const;

/** What a person may say of an operation. */
export function operationCommandRoutes(ports: Ports): Route[] {
  return [commandRoute(ports, 'retry'), commandRoute(ports, 'cancel')];
}

function commandRoute(ports: Ports, word: 'retry' | 'cancel'): Route {
  const operationId = `${word}Operation`;
  return route({
    method: 'POST',
    path: `/v1/operations/{id}/${word}`,
    operationId,
    summary: summaries[word],
    scope: 'instances:write',
    limit: 'write',
    params: v.strictObject({ id: uuidText }),
    body: v.optional(v.strictObject({ reason: v.optional(fields.text(200)) }), {}),
    bodyExample: { reason: 'The server has room again' },
    takes: keyHeader,
    responses: { 202: acceptedResponse('provision'), ...refusals(400, 404, 409, 422) },
    async handle(call) {
      const { reason = `Asked for by ${call.principal.kind} ${call.principal.id}` } = call.body;
      const asked = { word, operationId: call.params.id, reason: reason.slice(0, 200), eventSource: ports.eventSource };
      return await perform(ports, { call, operationId }, async (transaction) => {
        const operation = await askCommand(transaction, askerOf(call), asked);
        return operation instanceof Failure
          ? operation
          : await replyOf(transaction, { ...operation, outcome: 'accepted' });
      });
    },
  });
}
