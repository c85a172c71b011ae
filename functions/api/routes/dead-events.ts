import * as v from 'valibot';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { claimEvents, settleReplay } from '#shared/adapters/postgres/dead-event-replays.ts';
import { readDeadEvent, resolveByHand } from '#shared/adapters/postgres/dead-event-search.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type ReplayParts, replayAddress, replayOne } from '#shared/runtime/dead-letter/replay.ts';
import { listOf, listQuery, readPage, wordsOf } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { time } from '../schemas.ts';

const states = ['waiting', 'replayed', 'resolved', 'given-up'] as const;
const classes = ['transient', 'permanent', 'unknown'] as const;
const whole = v.pipe(v.number(), v.integer());
const text = v.nullable(v.string());

const eventBody = v.strictObject({
  sequence: whole,
  source: text,
  id: text,
  type: text,
  receivedBy: v.string(),
  reasonCode: v.string(),
  reason: v.string(),
  class: v.picklist(classes),
  state: v.picklist(states),
  deliveries: whole,
  replays: whole,
  receivedAt: time,
  replayedAt: v.nullable(time),
  nextReplayAt: v.nullable(time),
  lastError: text,
  bodyBytes: whole,
  /** False: only the beginning of it was kept, and it cannot be replayed. */
  isWhole: v.boolean(),
});

const detailBody = v.strictObject({
  ...eventBody.entries,
  attributes: v.record(v.string(), v.string()),
  contentType: text,
  /** The event's own bytes. */
  bodyBase64: v.string(),
});

const example: v.InferOutput<typeof eventBody> = {
  sequence: 17,
  source: 'urn:billing',
  id: 'e-1',
  type: 'dev.odoofleet.instance.stop.requested',
  receivedBy: 'stop',
  reasonCode: 'invalid-event',
  reason: 'instanceId is missing.',
  class: 'permanent',
  state: 'waiting',
  deliveries: 1,
  replays: 0,
  receivedAt: '2027-02-02T03:00:00.000Z',
  replayedAt: null,
  nextReplayAt: null,
  lastError: null,
  bodyBytes: 2,
  isWhole: true,
};
const detailExample = {
  ...example,
  attributes: { specversion: '1.0' },
  contentType: 'application/json',
  bodyBase64: 'e30=',
};

type EventRow = Omit<Row<'dead_events'>, 'body' | 'digest' | 'attributes' | 'origin' | 'error_code' | 'error_data'> & {
  body_bytes: number;
};
const columns = `e.sequence, e.source, e.id, e.type, e.received_by, e.reason_code, e.reason, e.content_type, e.class, e.state,
  e.deliveries, e.replays, e.received_at, e.replayed_at, e.next_replay_at, e.last_error, e.is_whole,
  octet_length(e.body) as body_bytes`;

const toBody = (row: EventRow) => ({
  sequence: row.sequence,
  source: row.source,
  id: row.id,
  type: row.type,
  receivedBy: row.received_by,
  reasonCode: row.reason_code,
  reason: row.reason,
  class: row.class,
  state: row.state,
  deliveries: row.deliveries,
  replays: row.replays,
  receivedAt: row.received_at,
  replayedAt: row.replayed_at,
  nextReplayAt: row.next_replay_at,
  lastError: row.last_error,
  bodyBytes: row.body_bytes,
  isWhole: row.is_whole,
});

const params = v.strictObject({
  sequence: v.pipe(v.string(), v.regex(/^[0-9]{1,15}$/, 'Write the number of a dead event.'), v.transform(Number)),
});

const fate = v.strictObject({ sequence: whole, fate: v.picklist(['sent', 'failed', 'discarded']), detail: text });

export function deadEventRoutes(ports: Pick<ApiPorts, 'database' | 'replay'>): Route[] {
  const { database } = ports;
  return [
    listDeadEvents(database),
    getDeadEvent(database),
    replayDeadEvent(database, ports.replay),
    discardDeadEvent(database),
  ];
}

function listDeadEvents(database: Database): Route {
  return route({
    method: 'GET',
    path: '/v1/dead-events',
    operationId: 'listDeadEvents',
    summary: 'Events that could not be handled.',
    scope: 'admin:read',
    limit: 'read',
    query: v.strictObject({
      ...listQuery(['receivedAt']),
      state: v.optional(wordsOf(states)),
      class: v.optional(wordsOf(classes)),
      type: v.optional(v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,256}$/, 'Write the type of an event.'))),
    }),
    fields: { of: 'items', names: Object.keys(eventBody.entries) },
    responses: {
      200: {
        description: 'A page of dead events without their bodies, newest first unless sorted otherwise.',
        schema: listOf(eventBody),
        example: { items: [example], next: null },
      },
    },
    async handle({ query }) {
      const { rows, ...page } = await readPage<EventRow>(
        database,
        {
          columns,
          from: 'dead_events e',
          conditions: [
            ['e.state = any($)', query.state],
            ['e.class = any($)', query.class],
            ['e.type = $', query.type],
          ],
          sorts: { receivedAt: { sql: 'e.received_at', type: 'timestamptz' } },
          id: { sql: 'e.sequence', type: 'bigint' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map(toBody), ...page } };
    },
  });
}

function getDeadEvent(database: Database): Route {
  return route({
    method: 'GET',
    path: '/v1/dead-events/{sequence}',
    operationId: 'getDeadEvent',
    summary: 'One dead event with its bytes.',
    scope: 'admin:read',
    limit: 'read',
    params,
    fields: { of: 'body', names: Object.keys(detailBody.entries) },
    responses: { 200: { description: 'The event.', schema: detailBody, example: detailExample } },
    async handle({ params: { sequence } }) {
      const event = await readDeadEvent(database, sequence);
      if (event === undefined) throw noEvent();
      return {
        status: 200,
        body: {
          ...toBody({ ...event, body_bytes: event.body.length }),
          attributes: event.attributes,
          contentType: event.content_type,
          bodyBase64: event.body.toString('base64'),
        },
      };
    },
  });
}

function replayDeadEvent(database: Database, parts: ReplayParts): Route {
  return route({
    method: 'POST',
    path: '/v1/dead-events/{sequence}/replay',
    operationId: 'replayDeadEvent',
    summary: 'Sends it again: to its function, or to the broker where that is none of ours.',
    scope: 'admin:write',
    limit: 'write',
    params,
    // a function that must be started first takes its time
    deadlineMs: 45_000,
    responses: {
      200: {
        description: 'What came of it.',
        schema: fate,
        example: { sequence: 17, fate: 'sent', detail: 'its function has taken it' },
      },
    },
    async handle({ params: { sequence }, principal }) {
      const found = await readDeadEvent(database, sequence);
      if (found === undefined) throw noEvent();
      if (!found.is_whole)
        throw new Failure('not-allowed', 'Only the beginning of it was kept: the sender must send it again.');
      const address = replayAddress(
        { receivedBy: found.received_by, origin: found.origin },
        { ...parts, target: 'either' },
      );
      const [claimed] = address === undefined ? [] : await claimEvents(database, [sequence]);
      if (claimed === undefined) throw noEvent();
      const outcome = await replayOne(claimed, { parts, target: 'either', isAutomatic: false });
      await database.transaction(async (transaction) => {
        await settleReplay(transaction, claimed, outcome);
        await appendAudit(transaction, {
          actor: actorOf(principal),
          action: 'dead-event.replayed',
          detail: { number: sequence, id: found.id, type: found.type, outcome: outcome.state },
        });
      });
      const detail =
        outcome.state === 'failed'
          ? outcome.reason
          : outcome.state === 'resolved'
            ? 'its function has taken it'
            : 'the broker has it again';
      return { status: 200, body: { sequence, fate: outcome.state === 'failed' ? 'failed' : 'sent', detail } };
    },
  });
}

function discardDeadEvent(database: Database): Route {
  return route({
    method: 'POST',
    path: '/v1/dead-events/{sequence}/discard',
    operationId: 'discardDeadEvent',
    summary: 'A person has dealt with it: it is forgotten after a while.',
    scope: 'admin:write',
    limit: 'write',
    params,
    responses: {
      200: {
        description: 'It is settled, now or before.',
        schema: fate,
        example: { sequence: 17, fate: 'discarded', detail: null },
      },
    },
    async handle({ params: { sequence }, principal }) {
      const found = await readDeadEvent(database, sequence);
      if (found === undefined) throw noEvent();
      await database.transaction(async (transaction) => {
        const numbers = await resolveByHand(transaction, [sequence]);
        if (numbers.length === 0) return;
        await appendAudit(transaction, {
          actor: actorOf(principal),
          action: 'dead-event.resolved',
          detail: { numbers },
        });
      });
      return { status: 200, body: { sequence, fate: 'discarded', detail: null } };
    },
  });
}

function noEvent(): Failure {
  return new Failure('not-found', 'There is no such dead event.', { facts: { field: 'path.sequence' } });
}
