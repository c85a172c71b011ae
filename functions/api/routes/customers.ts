import * as v from 'valibot';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import { upsertCustomer } from '#shared/adapters/postgres/customers.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { listOf, listQuery, readPage } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { idText, time } from '../schemas.ts';
import { refusals } from './accepted.ts';

type Ports = Pick<ApiPorts, 'database'>;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const customerBody = v.strictObject({
  id: idText,
  /** Instances he may have that are not terminated. */
  quota: count,
  instances: count,
  createdAt: time,
});

const example = { id: 'acme', quota: 10, instances: 3, createdAt: '2027-02-01T10:00:00.000Z' };

type Row = { id: string; quota: number; instances: number; created_at: Date };

const source = {
  columns: `c.id, c.quota, c.created_at, (select count(*)::integer from instances i
    where i.customer_id = c.id and i.desired_state <> 'terminated') as instances`,
  from: 'customers c',
};

const ofCustomer = v.strictObject({
  id: v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'Write a customer id: letters, digits, "_" and "-".'),
  ),
});

/** Customers and their quotas, for those who run the fleet. */
export function customerRoutes(ports: Ports): Route[] {
  return [listCustomers(ports), getCustomer(ports), setCustomer(ports)];
}

function listCustomers({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/customers',
    operationId: 'listCustomers',
    summary: 'Customers with their quotas.',
    scope: 'admin:read',
    limit: 'read',
    query: v.strictObject(listQuery(['createdAt', 'id'])),
    fields: { of: 'items', names: Object.keys(customerBody.entries) },
    responses: {
      200: {
        description: 'A page of customers, newest first unless sorted otherwise.',
        schema: listOf(customerBody),
        example: { items: [example], next: null },
      },
    },
    async handle({ query, principal }) {
      const { rows, ...page } = await readPage<Row>(
        database,
        {
          ...source,
          conditions: [['$::text is null or c.id = $', principal.customerId]],
          sorts: { createdAt: { sql: 'c.created_at', type: 'timestamptz' }, id: { sql: 'c.id', type: 'text' } },
          id: { sql: 'c.id', type: 'text' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map(bodyOf), ...page } };
    },
  });
}

function getCustomer({ database }: Ports): Route {
  return route({
    method: 'GET',
    path: '/v1/customers/{id}',
    operationId: 'getCustomer',
    summary: 'One customer.',
    scope: 'admin:read',
    limit: 'read',
    params: ofCustomer,
    responses: { 200: { description: 'The customer.', schema: customerBody, example }, ...refusals(404) },
    async handle({ params, principal }) {
      const { rows } = await database.query<Row>(
        `select ${source.columns} from ${source.from} where c.id = $1 and ($2::text is null or c.id = $2)`,
        [params.id, principal.customerId],
      );
      if (rows[0] === undefined) throw noCustomer();
      return { status: 200, body: bodyOf(rows[0]) };
    },
  });
}

function setCustomer({ database }: Ports): Route {
  return route({
    method: 'PUT',
    path: '/v1/customers/{id}',
    operationId: 'setCustomer',
    summary: 'Sets the quota of a customer, who is made known if he was not. Instances he has already stay.',
    scope: 'admin:write',
    limit: 'write',
    params: ofCustomer,
    body: v.strictObject({
      quota: v.pipe(
        v.number(),
        v.integer(),
        v.minValue(0, 'Write 0 to 100000.'),
        v.maxValue(100_000, 'Write 0 to 100000.'),
      ),
    }),
    bodyExample: { quota: 10 },
    responses: {
      200: { description: 'The customer as he is now.', schema: customerBody, example },
      ...refusals(400, 404),
    },
    async handle({ params: { id }, body: { quota }, principal }) {
      if (principal.customerId !== null && principal.customerId !== id) throw noCustomer();
      const row = await database.transaction(async (transaction) => {
        await upsertCustomer(transaction, { id, quota });
        const detail = { customer: id, quota };
        await appendAudit(transaction, { actor: actorOf(principal), action: 'customer.quota-set', detail });
        const text = `select ${source.columns} from ${source.from} where c.id = $1`;
        return (await transaction.query<Row>(text, [id])).rows[0];
      });
      if (row === undefined) throw noCustomer();
      return { status: 200, body: bodyOf(row) };
    },
  });
}

function noCustomer(): Failure {
  return new Failure('not-found', 'There is no such customer.', { facts: { field: 'path.id' } });
}

function bodyOf({ id, quota, instances, created_at: createdAt }: Row) {
  return { id, quota, instances, createdAt: createdAt.toISOString() };
}
