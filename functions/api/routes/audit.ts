import * as v from 'valibot';
import { listOf, listQuery, readPage } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { instanceId, time, uuidText } from '../schemas.ts';

const entryBody = v.strictObject({
  sequence: v.pipe(v.number(), v.integer()),
  at: time,
  actor: v.string(),
  action: v.string(),
  instanceId: v.nullable(v.string()),
  operationId: v.nullable(uuidText),
  detail: v.record(v.string(), v.unknown()),
});

const example = {
  sequence: 1201,
  at: '2027-02-02T03:00:00.000Z',
  actor: 'user:u-1',
  action: 'backup.requested',
  instanceId: 'abcdefghijkl',
  operationId: '0198c0de-0000-7000-8000-000000000001',
  detail: {},
};

type EntryRow = {
  sequence: number;
  at: Date;
  actor: string;
  action: string;
  instance_id: string | null;
  operation_id: string | null;
  detail: Record<string, unknown>;
};

const word = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,200}$/, 'Write it as the audit shows it.'));

export function auditRoutes({ database }: Pick<ApiPorts, 'database'>): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/audit',
      operationId: 'listAudit',
      summary: 'Who did what. Entries are never changed and never removed.',
      scope: 'audit:read',
      limit: 'read',
      query: v.strictObject({
        ...listQuery(['sequence']),
        instance: v.optional(instanceId),
        operation: v.optional(uuidText),
        actor: v.optional(word),
        action: v.optional(word),
        since: v.optional(time),
      }),
      fields: { of: 'items', names: Object.keys(entryBody.entries) },
      responses: {
        200: {
          description: 'A page of entries, newest first unless sorted otherwise.',
          schema: listOf(entryBody),
          example: { items: [example], next: null },
        },
      },
      async handle({ query, principal }) {
        const { rows, ...page } = await readPage<EntryRow>(
          database,
          {
            columns: 'a.sequence, a.at, a.actor, a.action, a.instance_id, a.operation_id, a.detail',
            from: 'audit a left join instances i on i.id = a.instance_id',
            conditions: [
              // what belongs to no instance is the platform's own
              ['$::text is null or i.customer_id = $', principal.customerId],
              ['a.instance_id = $', query.instance],
              ['a.operation_id = $', query.operation],
              ['a.actor = $', query.actor],
              ['a.action = $', query.action],
              ['a.at >= $', query.since],
            ],
            sorts: { sequence: { sql: 'a.sequence', type: 'bigint' } },
            id: { sql: 'a.sequence', type: 'bigint' },
          },
          query,
        );
        const items = rows.map(({ instance_id, operation_id, ...row }) => ({
          ...row,
          instanceId: instance_id,
          operationId: operation_id,
        }));
        return { status: 200, body: { items, ...page } };
      },
    }),
  ];
}
