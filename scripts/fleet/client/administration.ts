import { Failure } from '#shared/domain/failure.ts';
import { type Group, textOf } from './command.ts';
import { confirm, yesOption } from './confirm.ts';
import { facts, listed, listOptions, timeCell } from './listing.ts';

type DeadEvent = {
  sequence: number;
  type: string | null;
  receivedBy: string;
  reason: string;
  class: string;
  state: string;
  receivedAt: string;
};

type DatabaseServer = {
  id: string;
  host: string;
  port: number;
  purpose: string;
  status: string;
  instances: number;
  maxInstances: number;
  reachedAt: string | null;
};

type Key = {
  id: string;
  name: string;
  role: string;
  customer: string | null;
  expiresAt: string;
  revokedAt: string | null;
};

export const deadLetters: Group = {
  noun: 'dead-letters',
  says: 'events that could not be handled',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      example: 'dead-letters list --state waiting --class permanent',
      options: [
        ['--state <states>', 'waiting, replayed, resolved, given-up; several with commas'],
        ['--class <classes>', 'transient, permanent, unknown; several with commas'],
        ['--type <type>', 'of this type of event'],
        ...listOptions,
      ],
      run: (call) =>
        listed<DeadEvent>(call, '/v1/dead-events', {
          query: ['state', 'class', 'type'],
          heads: ['NUMBER', 'RECEIVED AT', 'BY', 'STATE', 'CLASS', 'TYPE', 'REASON'],
          cells: (one) => [
            ...[String(one.sequence), timeCell(one.receivedAt), one.receivedBy, one.state, one.class],
            ...[one.type ?? '-', one.reason],
          ],
          none: 'There are no dead letters.',
        }),
    },
    {
      usage: 'show <number>',
      says: 'all of one, with the bytes of it',
      example: 'dead-letters show 17',
      async run({ api, operands: [number = ''], screen }) {
        const body = (await api().get(`/v1/dead-events/${encodeURIComponent(number)}`)) as { bodyBase64: string };
        const { bodyBase64, ...others } = body;
        const text = Buffer.from(bodyBase64, 'base64').toString();
        return { json: body, lines: [...facts(others, screen), '', ...text.split('\n')] };
      },
    },
    {
      usage: 'replay <number>',
      says: 'sends it again to what could not handle it',
      example: 'dead-letters replay 17',
      async run({ api, operands: [number = ''] }) {
        const path = `/v1/dead-events/${encodeURIComponent(number)}/replay`;
        const body = (await api().send('POST', path)) as { fate: string; detail: string | null };
        return { json: body, lines: [`${number}: ${body.fate}, ${body.detail ?? ''}`], isDone: body.fate !== 'failed' };
      },
    },
    {
      usage: 'discard <number>',
      says: 'a person has dealt with it: it is forgotten after a while, and never replayed by itself',
      example: 'dead-letters discard 17',
      options: [yesOption],
      async run(call) {
        const [number = ''] = call.operands;
        await confirm(call, { what: `Dead letter ${number} is given up.`, nameOf: async () => number });
        const body = await call.api().send('POST', `/v1/dead-events/${encodeURIComponent(number)}/discard`);
        return { json: body, lines: [`${number}: discarded`] };
      },
    },
  ],
};

export const databaseServers: Group = {
  noun: 'db-servers',
  says: 'the PostgreSQL servers of instances',
  commands: [
    {
      usage: 'list',
      says: 'with what they hold',
      example: 'db-servers list --status active,maintenance',
      options: [['--status <states>', 'active, maintenance, error; several with commas'], ...listOptions],
      run: (call) =>
        listed<DatabaseServer>(call, '/v1/db-servers', {
          query: ['status'],
          heads: ['SERVER', 'HOST', 'PURPOSE', 'STATUS', 'INSTANCES', 'REACHED AT'],
          cells: (one) => [
            ...[one.id, `${one.host}:${one.port}`, one.purpose, one.status, `${one.instances}/${one.maxInstances}`],
            timeCell(one.reachedAt),
          ],
          none: 'There are no database servers.',
        }),
    },
    {
      usage: 'show <server>',
      says: 'all of one',
      example: 'db-servers show pg-1',
      async run({ api, operands: [id = ''], screen }) {
        const body = await api().get(`/v1/db-servers/${encodeURIComponent(id)}`);
        return { json: body, lines: facts(body, screen) };
      },
    },
  ],
};

export const keys: Group = {
  noun: 'keys',
  says: 'API keys',
  commands: [
    {
      usage: 'list',
      says: 'newest first, those that ended among them',
      example: 'keys list --customer acme',
      options: [['--customer <id>', 'of this customer'], ...listOptions],
      run: (call) =>
        listed<Key>(call, '/v1/keys', {
          query: ['customer'],
          heads: ['KEY', 'NAME', 'ROLE', 'CUSTOMER', 'ENDS AT', 'REVOKED AT'],
          cells: (one) => [
            ...[one.id, one.name, one.role, one.customer ?? '-', timeCell(one.expiresAt), timeCell(one.revokedAt)],
          ],
          none: 'There are no keys.',
        }),
    },
    {
      usage: 'create',
      says: 'a key, printed once; with no more rights than your own',
      example: 'keys create --name ci --scopes instances:read,operations:read --days 30',
      options: [
        ['--name <name>', 'what it is for'],
        ['--role <role>', 'customer, support, admin or service; your own unless stated'],
        ['--customer <id>', 'limited to this customer'],
        ['--scopes <scopes>', "such as instances:read,backups:read; the role's unless stated"],
        ['--days <days>', 'how long it counts, 1 to 365; 90 unless stated'],
      ],
      async run({ api, options }) {
        const { name = 'made by command', role, customer } = options;
        const days = textOf(options, 'days');
        if (days !== undefined && !/^\d{1,3}$/.test(days)) throw new Failure('misconfigured', '--days is 1 to 365.');
        const body = (await api().send('POST', '/v1/keys', {
          ...{ name, role, customer },
          scopes: textOf(options, 'scopes')?.split(','),
          expiresInDays: days === undefined ? undefined : Number(days),
        })) as Key & { key: string };
        const kept = 'It is not shown again: keep it like a password.';
        return { json: body, lines: [body.key, `Key ${body.id} ends ${timeCell(body.expiresAt)}. ${kept}`] };
      },
    },
    {
      usage: 'revoke <key>',
      says: 'every server refuses it within ten seconds',
      example: 'keys revoke 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
      options: [yesOption],
      async run(call) {
        const [id = ''] = call.operands;
        const path = `/v1/keys/${encodeURIComponent(id)}`;
        await confirm(call, {
          what: `Key ${id} is refused from now on, for ever. Whoever uses it needs another one.`,
          nameOf: async () => ((await call.api().get(path)) as Key).name,
        });
        await call.api().send('DELETE', path);
        return { json: { id, revoked: true }, lines: [`Key ${id} is revoked.`] };
      },
    },
  ],
};
