import { Failure } from '#shared/domain/failure.ts';
import { type Call, type Definition, type Group, type Result, textOf } from './command.ts';
import { confirm, yesOption } from './confirm.ts';
import { facts, listed, listOptions, timeCell } from './listing.ts';

type Endpoint = {
  id: string;
  customer: string;
  url: string;
  types: string[];
  enabled: boolean;
  disabledReason: string | null;
  failingSince: string | null;
  lastSuccessAt: string | null;
  previousSecretUntil: string | null;
};

type Delivery = {
  id: string;
  type: string;
  instance: string | null;
  sequence: number;
  state: string;
  attempts: number;
  createdAt: string;
  nextAttemptAt: string | null;
};

const root = '/v1/webhook-endpoints';
const pathOf = ({ operands: [id = ''] }: Call) => `${root}/${encodeURIComponent(id)}`;
const hostOf = async (call: Call) => new URL(((await call.api().get(pathOf(call))) as Endpoint).url).host;
const keepIt = 'The secret is not shown again: keep it like a password.';

const create: Definition = {
  usage: 'create <url>',
  says: 'makes one; its secret is printed once',
  example: 'webhooks create https://hooks.example.com/odoo --customer acme',
  options: [
    ['--customer <id>', "whose it is; the caller's own unless stated"],
    ['--types <types>', 'events to be told of, with commas; all unless stated'],
    ['--description <text>', 'what it is for'],
  ],
  async run(call) {
    const { customer, description } = call.options;
    const types = textOf(call.options, 'types')?.split(',');
    const wanted = { url: call.operands[0], customer, description, types };
    const body = (await call.api().send('POST', root, wanted)) as Endpoint & { secret: string };
    return { json: body, lines: [body.secret, `Endpoint ${body.id} is made. ${keepIt}`] };
  },
};

const rotate: Definition = {
  usage: 'rotate-secret <endpoint>',
  says: 'makes a new secret, printed once; messages bear signatures by both for a while',
  example: 'webhooks rotate-secret 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --overlap-hours 48',
  options: [
    ['--overlap-hours <hours>', 'how long the old one counts; with 0 it ends now, and is asked for'],
    yesOption,
  ],
  async run(call) {
    const hours = textOf(call.options, 'overlapHours');
    if (hours !== undefined && !/^\d{1,4}$/.test(hours)) {
      throw new Failure('misconfigured', '--overlap-hours takes a whole number of hours.');
    }
    const wanted = hours === undefined ? {} : { overlapHours: Number(hours) };
    if (wanted.overlapHours === 0) {
      const what = `The secret of endpoint ${call.operands[0]} ends now: a receiver takes nothing more until it has the new one.`;
      await confirm(call, { what, nameOf: () => hostOf(call) });
    }
    const body = (await call.api().send('POST', `${pathOf(call)}/rotate-secret`, wanted)) as Endpoint & {
      secret: string;
    };
    const until = body.previousSecretUntil === null ? 'ends now' : `counts until ${timeCell(body.previousSecretUntil)}`;
    return { json: body, lines: [body.secret, `The old secret ${until}. ${keepIt}`] };
  },
};

const deliveries: Definition = {
  usage: 'deliveries <endpoint>',
  says: 'what it was told, and is still to be told, newest first',
  example: 'webhooks deliveries 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --state failed',
  options: [
    ['--state <state>', 'waiting, succeeded, failed or held'],
    ['--instance <id>', 'about this instance'],
    ...listOptions,
  ],
  run: (call) =>
    listed<Delivery>(call, `${pathOf(call)}/deliveries`, {
      query: ['state', 'instance'],
      heads: ['DELIVERY', 'STATE', 'TRIES', 'INSTANCE', 'NUMBER', 'MADE AT', 'NEXT TRY', 'TYPE'],
      cells: (one) => [
        ...[one.id, one.state, String(one.attempts), one.instance ?? '-', String(one.sequence)],
        ...[timeCell(one.createdAt), timeCell(one.nextAttemptAt), one.type],
      ],
      none: 'There are no deliveries.',
    }),
};

const replay: Definition = {
  usage: 'replay <endpoint>',
  says: 'sends what it has not got since a time; --since is needed',
  example: 'webhooks replay 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --since 2027-02-01T10:00:00Z',
  options: [['--since <time>', 'such as 2027-02-01T10:00:00Z']],
  async run(call) {
    const body = (await call.api().send('POST', `${pathOf(call)}/replay`, { since: call.options['since'] })) as {
      deliveries: number;
    };
    return { json: body, lines: [`${body.deliveries} deliveries wait to be sent.`] };
  },
};

const redeliver: Definition = {
  usage: 'redeliver <endpoint> <delivery>',
  says: 'sends one once more, under the same id',
  example: 'webhooks redeliver 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f 01936f2e-9a10-7b21-8c3d-4e5f6a7b8c9d',
  async run(call) {
    const [, delivery = ''] = call.operands;
    const path = `${pathOf(call)}/deliveries/${encodeURIComponent(delivery)}/redeliver`;
    const body = (await call.api().send('POST', path)) as Delivery;
    return { json: body, lines: [`Delivery ${body.id} is ${body.state}.`] };
  },
};

export const webhooks: Group = {
  noun: 'webhooks',
  says: 'where customers are told of events',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      example: 'webhooks list --customer acme',
      options: [['--customer <id>', 'of this customer'], ...listOptions],
      run: (call) =>
        listed<Endpoint>(call, root, {
          query: ['customer'],
          heads: ['ENDPOINT', 'CUSTOMER', 'STATE', 'FAILING SINCE', 'LAST SUCCESS', 'URL'],
          cells: (one) => [
            ...[one.id, one.customer, one.enabled ? 'active' : `disabled (${one.disabledReason})`],
            ...[timeCell(one.failingSince), timeCell(one.lastSuccessAt), one.url],
          ],
          none: 'There are no endpoints.',
        }),
    },
    create,
    {
      usage: 'show <endpoint>',
      says: 'all of one, without its secret',
      example: 'webhooks show 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
      async run(call) {
        const body = await call.api().get(pathOf(call));
        return { json: body, lines: facts(body, call.screen) };
      },
    },
    rotate,
    deliveries,
    replay,
    redeliver,
    switched('disable', 'sends nothing there; what comes is kept for a replay', false),
    switched('enable', 'sends there again', true),
    {
      usage: 'delete <endpoint>',
      says: 'nothing is sent there any more',
      example: 'webhooks delete 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
      options: [yesOption],
      run: remove,
    },
  ],
};

function switched(word: string, says: string, enabled: boolean): Definition {
  return {
    usage: `${word} <endpoint>`,
    says,
    example: `webhooks ${word} 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f`,
    async run(call) {
      const body = (await call.api().send('PATCH', pathOf(call), { enabled })) as Endpoint;
      return { json: body, lines: [`Endpoint ${body.id} is ${body.enabled ? 'active' : 'disabled'}.`] };
    },
  };
}

async function remove(call: Call): Promise<Result> {
  const [id = ''] = call.operands;
  await confirm(call, {
    what: `Endpoint ${id} and its secret are deleted; nothing is sent there any more.`,
    nameOf: () => hostOf(call),
  });
  await call.api().send('DELETE', pathOf(call));
  return { json: { id, deleted: true }, lines: [`Endpoint ${id} is deleted.`] };
}
