import { type Call, type Definition, type Group, textOf } from './command.ts';
import { facts, listed, listOptions } from './listing.ts';
import { asked, reasonOption, watchOptions } from './operations.ts';

type Instance = {
  id: string;
  customerId: string;
  name: string;
  status: string;
  desiredState: string;
  suspensions: string[];
  plan: string;
  url: string | null;
};

const pathOf = ({ operands }: Call) => `/v1/instances/${encodeURIComponent(operands[0] ?? '')}`;
const causeOption = ['--cause <cause>', 'billing or abuse'] as const;

/** What can be asked of an instance with nothing but a reason. */
const plain = {
  start: 'starts it',
  stop: 'stops it, and it stays stopped',
  restart: 'replaces its pods',
  terminate: 'ends it; its data is kept for as long as "undo" is possible',
  undo: 'undoes a termination',
  repair: 'makes the world what the records want',
  backup: 'makes a backup while it goes on running',
  export: "makes a zip in Odoo's own format of its newest backup",
} as const;

function command(word: string, says: string): Definition {
  return {
    usage: `${word} <instance>`,
    says,
    options: [reasonOption, ...watchOptions],
    run: (call) => asked(call, `${pathOf(call)}/${word}`, {}),
  };
}

function suspension(word: 'suspend' | 'resume', says: string): Definition {
  return {
    usage: `${word} <instance>`,
    says,
    options: [causeOption, reasonOption, ...watchOptions],
    run: (call) => asked(call, `${pathOf(call)}/${word}`, { cause: textOf(call.options, 'cause') }),
  };
}

const create: Definition = {
  usage: 'create <name>',
  says: 'makes a new one; --plan and --owner are needed',
  options: [
    ['--plan <plan>', 'its plan'],
    ['--owner <email>', 'who is told of it, and its first login'],
    ['--customer <id>', "whose it is; the caller's own unless stated"],
    ['--image <image>', 'its version of Odoo'],
    ['--language <language>', 'such as de_DE'],
    ['--modules <modules>', 'what to install, with commas'],
    ...watchOptions,
  ],
  async run(call) {
    const [name] = call.operands;
    const { plan, owner, customer, image, language } = call.options;
    const modules = textOf(call.options, 'modules')?.split(',');
    const given = { name, plan, owner: { email: owner }, customer, image, language, modules };
    return await asked(call, '/v1/instances', given);
  },
};

export const instances: Group = {
  noun: 'instances',
  says: 'instances of Odoo, and what can be asked of them',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      options: [
        ['--status <states>', 'such as running,error'],
        ['--customer <id>', 'of this customer'],
        ['--plan <plan>', 'of this plan'],
        ['--image <image>', 'of this version'],
        ['--search <text>', 'whose name or host holds this'],
        ...listOptions,
      ],
      run: (call) =>
        listed<Instance>(call, '/v1/instances', {
          query: ['status', 'customer', 'plan', 'image', 'search'],
          heads: ['INSTANCE', 'NAME', 'CUSTOMER', 'STATUS', 'WANTED', 'SUSPENDED FOR', 'PLAN', 'URL'],
          cells: (one) => [
            ...[one.id, one.name, one.customerId, one.status, one.desiredState, one.suspensions.join(', ') || '-'],
            ...[one.plan, one.url ?? '-'],
          ],
          none: 'There are no instances.',
        }),
    },
    {
      usage: 'show <instance>',
      says: 'all of one',
      async run(call) {
        const body = await call.api().get(pathOf(call));
        return { json: body, lines: facts(body) };
      },
    },
    create,
    ...Object.entries(plain).map(([word, says]) => command(word, says)),
    suspension('suspend', 'keeps it from running; its host shows why'),
    suspension('resume', 'closes one reason of a suspension'),
  ],
};
