import { Failure } from '#shared/domain/failure.ts';
import type { Call, Group, Result } from './command.ts';
import { confirm, yesOption } from './confirm.ts';
import { facts, listed, timeCell } from './listing.ts';

type Domain = {
  host: string;
  state: string;
  record: { type: string; name: string; value: string };
  target: string;
  verifiedAt: string | null;
};

const pathOf = ({ operands: [instance = ''] }: Call) => `/v1/instances/${encodeURIComponent(instance)}/domains`;
const pathOfHost = (call: Call) => `${pathOf(call)}/${encodeURIComponent(call.operands[1] ?? '')}`;

export const domains: Group = {
  noun: 'domains',
  says: "hosts of customers' own",
  commands: [
    {
      usage: 'list <instance>',
      says: 'those it has, and those still to be proven',
      example: 'domains list k3n5q2x7a4bc',
      run: (call) =>
        listed<Domain>(call, pathOf(call), {
          query: [],
          heads: ['HOST', 'STATE', 'VERIFIED AT', 'LEADS TO'],
          cells: (one) => [one.host, one.state, timeCell(one.verifiedAt), one.target],
          none: 'There are no hosts of its own.',
        }),
    },
    {
      usage: 'add <instance> <host>',
      says: 'asks for a host, and says what to publish in DNS',
      example: 'domains add k3n5q2x7a4bc shop.example.com',
      async run(call) {
        const domain = (await call.api().send('POST', pathOf(call), { host: call.operands[1] })) as Domain;
        return { json: domain, lines: toDo(call, domain) };
      },
    },
    {
      usage: 'show <instance> <host>',
      says: 'one of them, with the record to publish',
      example: 'domains show k3n5q2x7a4bc shop.example.com',
      async run(call) {
        const domain = await find(call);
        return { json: domain, lines: [...facts(domain, call.screen), '', ...toDo(call, domain)] };
      },
    },
    {
      usage: 'verify <instance> <host>',
      says: 'looks for the record; once it was found the host leads to the instance, within minutes',
      example: 'domains verify k3n5q2x7a4bc shop.example.com',
      async run(call) {
        const domain = (await call.api().send('POST', `${pathOfHost(call)}/verify`)) as Domain;
        return { json: domain, lines: toDo(call, domain) };
      },
    },
    {
      usage: 'remove <instance> <host>',
      says: 'takes a host away from it',
      example: 'domains remove k3n5q2x7a4bc shop.example.com',
      options: [yesOption],
      run: remove,
    },
  ],
};

async function remove(call: Call): Promise<Result> {
  const [instance, host = ''] = call.operands;
  await confirm(call, {
    what: `Visitors of ${host} are not led to ${instance} any more, and its proof is gone.`,
    nameOf: async () => host,
  });
  await call.api().send('DELETE', pathOfHost(call));
  return { json: { host, removed: true }, lines: [`${host} is taken away from ${instance}.`] };
}

async function find(call: Call): Promise<Domain> {
  const [instance, host = ''] = call.operands;
  const { items } = (await call.api().get(pathOf(call))) as { items: Domain[] };
  const domain = items.find((one) => one.host === host.toLowerCase());
  if (domain !== undefined) return domain;
  throw new Failure('not-found', `Instance ${instance} has no host ${host}: "fleet domains list ${instance}".`, {
    facts: { status: 404 },
  });
}

/** What is left to be done until visitors are led there. A record stands on a line of its own, to be copied. */
function toDo({ operands: [instance] }: Call, { host, state, record, target }: Domain): string[] {
  if (state === 'verified') return [`${host} is proven. Its own record (CNAME) has to lead to ${target}.`];
  return [
    `Publish this record in DNS, with a CNAME of ${host} to ${target}:`,
    `  ${record.name}. ${record.type} "${record.value}"`,
    `Then: fleet domains verify ${instance} ${host}`,
  ];
}
