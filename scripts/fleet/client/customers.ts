import { Failure } from '#shared/domain/failure.ts';
import type { Group } from './command.ts';
import { facts, listed, listOptions, timeCell } from './listing.ts';

type Customer = { id: string; quota: number; instances: number; createdAt: string };

const pathOf = (id = '') => `/v1/customers/${encodeURIComponent(id)}`;

export const customers: Group = {
  noun: 'customers',
  says: 'customers and their quotas',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      example: 'customers list --all',
      options: listOptions,
      run: (call) =>
        listed<Customer>(call, '/v1/customers', {
          query: [],
          heads: ['CUSTOMER', 'INSTANCES', 'QUOTA', 'SINCE'],
          cells: (one) => [one.id, String(one.instances), String(one.quota), timeCell(one.createdAt)],
          none: 'There are no customers.',
        }),
    },
    {
      usage: 'show <customer>',
      says: 'one of them',
      example: 'customers show acme',
      async run({ api, operands: [id], screen }) {
        const body = await api().get(pathOf(id));
        return { json: body, lines: facts(body, screen) };
      },
    },
    {
      usage: 'quota <customer> <instances>',
      says: 'how many instances he may have; makes him known if he was not. Those he has stay',
      example: 'customers quota acme 25',
      async run({ api, operands: [id, instances = ''] }) {
        if (!/^\d{1,6}$/.test(instances))
          throw new Failure('misconfigured', 'The quota is a whole number of instances.');
        const body = (await api().send('PUT', pathOf(id), { quota: Number(instances) })) as Customer;
        return { json: body, lines: [`${body.id} may have ${body.quota} instances, and has ${body.instances}.`] };
      },
    },
  ],
};
