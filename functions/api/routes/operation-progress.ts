import * as v from 'valibot';
import { actorOf, type Principal } from '#shared/domain/access/principal.ts';
import { isEnded, progressEvents, progressId } from '#shared/runtime/progress/server-sent-events.ts';
import { openWatch } from '#shared/runtime/progress/watch.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { uuidText } from '../schemas.ts';
import { forCustomer } from '../views/for-customer.ts';
import { findOperation, readOperations, toOperationBody } from '../views/operation.ts';
import { refusals } from './accepted.ts';

/** The way of an operation, told as it goes. */
export function operationProgressRoutes({ database, draining }: Pick<ApiPorts, 'database' | 'draining'>): Route[] {
  const watch = openWatch({ read: async (ids) => (await readOperations(database, ids)).map(toOperationBody) });
  return [
    route({
      method: 'GET',
      path: '/v1/operations/{id}/events',
      operationId: 'followOperation',
      summary: 'Tells of the progress of an operation by server-sent events, until it ends.',
      scope: 'operations:read',
      limit: 'read',
      params: v.strictObject({ id: uuidText }),
      takes: { 'last-event-id': 'The id of the last event you have: only what has changed since is told.' },
      responses: {
        200: {
          description: 'Events `progress` and, last, `end`, with how far the operation is; comments in between.',
          type: 'text/event-stream',
        },
        204: { description: 'It is over, and you have its last event: do not come again.' },
        ...refusals(400, 404),
      },
      async handle({ params: { id }, principal, headers, signal }) {
        const now = toOperationBody(await findOperation(database, { id, principal }));
        const lastEventId = headers['last-event-id'];
        if (isEnded(now) && progressId(now) === lastEventId) return { status: 204 };
        const owner = principal.customerId ?? actorOf(principal);
        const pieces = progressEvents(watch, { id, owner, lastEventId, signals: [signal, draining] });
        // Begun here, so that one that is too many is refused instead of cut.
        const first = await pieces.next();
        return { status: 200, stream: { type: 'text/event-stream', pieces: from(first, pieces, principal) } };
      },
    }),
  ];
}

/** No generator: one that nobody has begun to read would not end the other. */
function from(
  first: IteratorResult<string>,
  rest: AsyncGenerator<string>,
  { customerId }: Principal,
): AsyncIterableIterator<string> {
  let isFirst = true;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const piece = isFirst ? first : await rest.next();
      isFirst = false;
      if (piece.done === true || customerId === null) return piece;
      return { value: piece.value.replace(/^data: (.*)$/m, seenByCustomer) };
    },
    return: () => rest.return(undefined),
  };
}

function seenByCustomer(_line: string, json: string): string {
  return `data: ${JSON.stringify(forCustomer(JSON.parse(json)))}`;
}
