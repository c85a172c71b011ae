import { type Call, type Definition, type Group, textOf } from './command.ts';
import { confirmInstance, yesOption } from './confirm.ts';
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
  undo: 'undoes a termination',
  repair: 'makes the world what the records want',
  backup: 'makes a backup while it goes on running',
  export: "makes a zip in Odoo's own format of its newest backup",
} as const;

function command(word: string, says: string): Definition {
  return {
    usage: `${word} <instance>`,
    says,
    example: `instances ${word} k3n5q2x7a4bc --watch`,
    options: [reasonOption, ...watchOptions],
    run: (call) => asked(call, `${pathOf(call)}/${word}`, {}),
  };
}

function suspension(word: 'suspend' | 'resume', says: string): Definition {
  return {
    usage: `${word} <instance>`,
    says,
    example: `instances ${word} k3n5q2x7a4bc --cause abuse`,
    options: [causeOption, reasonOption, ...watchOptions],
    run: (call) => asked(call, `${pathOf(call)}/${word}`, { cause: textOf(call.options, 'cause') }),
  };
}

const create: Definition = {
  usage: 'create <name>',
  says: 'makes a new one; --plan and --owner are needed',
  example: 'instances create acme --plan small --owner owner@acme.example --customer acme --watch',
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

const terminate: Definition = {
  usage: 'terminate <instance>',
  says: 'ends it; its data is kept for as long as "undo" is possible',
  example: 'instances terminate k3n5q2x7a4bc --reason "the contract has ended"',
  options: [yesOption, reasonOption, ...watchOptions],
  async run(call) {
    const what = `Instance ${call.operands[0]} is ended, and its host is free at once. "undo" brings it back for some days.`;
    await confirmInstance(call, what);
    return await asked(call, `${pathOf(call)}/terminate`, {});
  },
};

const purge: Definition = {
  usage: 'purge <instance>',
  says: 'destroys what a termination has kept, for ever',
  example: 'instances purge k3n5q2x7a4bc --watch',
  options: [['--without-backup', 'though there is no proven backup'], yesOption, reasonOption, ...watchOptions],
  async run(call) {
    const isWithout = call.options['withoutBackup'] === true;
    const backup = isWithout ? ' No proven backup is asked for.' : '';
    await confirmInstance(call, `What is left of instance ${call.operands[0]} is destroyed for ever.${backup}`);
    return await asked(call, `${pathOf(call)}/purge`, isWithout ? { withoutBackup: true } : {});
  },
};

const clone: Definition = {
  usage: 'clone <instance> <name>',
  says: 'makes a neutralized copy as a new instance of the same customer',
  example: 'instances clone k3n5q2x7a4bc acme-staging --watch',
  options: [
    ['--backup <backup>', 'of this backup; the newest that succeeded unless stated'],
    ['--plan <plan>', 'its plan; the same unless stated'],
    reasonOption,
    ...watchOptions,
  ],
  async run(call) {
    const { backup, plan } = call.options;
    return await asked(call, `${pathOf(call)}/clone`, { name: call.operands[1], backup, plan });
  },
};

export const instances: Group = {
  noun: 'instances',
  says: 'instances of Odoo, and what can be asked of them',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      example: 'instances list --status running,error',
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
      example: 'instances show k3n5q2x7a4bc',
      async run(call) {
        const body = await call.api().get(pathOf(call));
        return { json: body, lines: facts(body, call.screen) };
      },
    },
    create,
    terminate,
    purge,
    clone,
    ...Object.entries(plain).map(([word, says]) => command(word, says)),
    suspension('suspend', 'keeps it from running; its host shows why'),
    suspension('resume', 'closes one reason of a suspension'),
  ],
};
