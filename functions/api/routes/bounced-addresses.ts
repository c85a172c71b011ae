import * as v from 'valibot';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import { clearBounce } from '#shared/adapters/postgres/mails.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { listOf, listQuery, readPage } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { time } from '../schemas.ts';
import { refusals } from './accepted.ts';

const bounced = v.strictObject({ address: v.string(), reason: v.string(), bouncedAt: time });
const example = {
  address: 'owner@acme.example',
  reason: '550 5.1.1 No such user',
  bouncedAt: '2027-02-01T10:00:00.000Z',
};

const wanted = v.strictObject({
  address: v.pipe(v.string(), v.maxLength(254, 'Write an e-mail address.'), v.email('Write an e-mail address.')),
});

/** Addresses that mails are not sent to any more. */
export function bouncedAddressRoutes(ports: Pick<ApiPorts, 'database'>): Route[] {
  return [listAddresses(ports), clearAddress(ports)];
}

function listAddresses({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/bounced-addresses',
    operationId: 'listBouncedAddresses',
    summary: 'Addresses that do not exist, by the word of a mail server: nothing is sent to them.',
    scope: 'admin:read',
    limit: 'read',
    query: v.strictObject(listQuery(['bouncedAt'])),
    fields: { of: 'items', names: Object.keys(bounced.entries) },
    responses: {
      200: {
        description: 'A page of addresses, newest first unless sorted otherwise.',
        schema: listOf(bounced),
        example: { items: [example], next: null },
      },
    },
    async handle({ query }) {
      const { rows, ...page } = await readPage<Row<'bounced_addresses'>>(
        database,
        {
          columns: 'address, reason, bounced_at',
          from: 'bounced_addresses',
          conditions: [],
          sorts: { bouncedAt: { sql: 'bounced_at', type: 'timestamptz' } },
          id: { sql: 'address', type: 'text' },
        },
        query,
      );
      const items = rows.map(({ address, reason, bounced_at: at }) => ({ address, reason, bouncedAt: at }));
      return { status: 200, body: { items, ...page } };
    },
  });
}

function clearAddress({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'POST',
    path: '/v1/bounced-addresses/clear',
    operationId: 'clearBouncedAddress',
    summary: 'Lets mails go to an address again. Mails that were not sent are not sent later.',
    scope: 'admin:write',
    limit: 'write',
    body: wanted,
    bodyExample: { address: example.address },
    responses: { 204: { description: 'Mails are sent to it again.' }, ...refusals(404) },
    async handle({ body: { address }, principal }) {
      const isCleared = await database.transaction(async (transaction) => {
        if (!(await clearBounce(transaction, address))) return false;
        const detail = { address: address.toLowerCase() };
        await appendAudit(transaction, { actor: actorOf(principal), action: 'bounced-address.cleared', detail });
        return true;
      });
      if (!isCleared) throw new Failure('not-found', 'This address has not bounced.');
      return { status: 204 };
    },
  });
}
