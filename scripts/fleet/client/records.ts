import type { Group } from './command.ts';
import { listed, listOptions, timeCell } from './listing.ts';

type Entry = {
  sequence: number;
  at: string;
  actor: string;
  action: string;
  instanceId: string | null;
  operationId: string | null;
  detail: Record<string, unknown>;
};

type Plan = {
  id: string;
  cpuMillis: number;
  memoryMib: number;
  diskGib: number;
  workers: number;
  replicas: number;
  undoDays: number;
  backupHours: number;
};

type Bounced = { address: string; reason: string; bouncedAt: string };

export const audit: Group = {
  noun: 'audit',
  says: 'who did what',
  commands: [
    {
      usage: 'list',
      says: 'newest first; entries are never changed',
      example: 'audit list --instance k3n5q2x7a4bc --since 2027-02-01T00:00:00Z',
      options: [
        ['--instance <id>', 'of this instance'],
        ['--operation <id>', 'of this operation'],
        ['--actor <actor>', 'of this one, as the list shows it: user:u-1'],
        ['--action <action>', 'such as stop.requested'],
        ['--since <time>', 'from then on, such as 2027-02-01T00:00:00Z'],
        ...listOptions,
      ],
      run: (call) =>
        listed<Entry>(call, '/v1/audit', {
          query: ['instance', 'operation', 'actor', 'action', 'since'],
          heads: ['AT', 'ACTOR', 'ACTION', 'INSTANCE', 'OPERATION', 'DETAIL'],
          cells: (one) => [
            ...[timeCell(one.at), one.actor, one.action, one.instanceId ?? '-', one.operationId ?? '-'],
            detailCell(one.detail),
          ],
          none: 'There are no entries.',
        }),
    },
  ],
};

export const plans: Group = {
  noun: 'plans',
  says: 'what instances are sold with',
  commands: [
    {
      usage: 'list',
      says: 'all of them, by name',
      example: 'plans list',
      run: (call) =>
        listed<Plan>(call, '/v1/plans', {
          query: [],
          heads: ['PLAN', 'CPU', 'MEMORY', 'DISK', 'WORKERS', 'REPLICAS', 'UNDO', 'BACKUP EVERY'],
          cells: (one) => [
            ...[one.id, `${one.cpuMillis} m`, `${one.memoryMib} MiB`, `${one.diskGib} GiB`, String(one.workers)],
            ...[String(one.replicas), `${one.undoDays} days`, `${one.backupHours} h`],
          ],
          none: 'There are no plans.',
        }),
    },
  ],
};

export const bouncedAddresses: Group = {
  noun: 'bounced-addresses',
  says: 'addresses that mails are not sent to any more',
  commands: [
    {
      usage: 'list',
      says: 'newest first',
      example: 'bounced-addresses list',
      options: listOptions,
      run: (call) =>
        listed<Bounced>(call, '/v1/bounced-addresses', {
          query: [],
          heads: ['ADDRESS', 'BOUNCED AT', 'WHY'],
          cells: (one) => [one.address, timeCell(one.bouncedAt), one.reason],
          none: 'No address has bounced.',
        }),
    },
    {
      usage: 'clear <address>',
      says: 'lets mails go to it again',
      example: 'bounced-addresses clear owner@acme.example',
      async run({ api, operands: [address = ''] }) {
        await api().send('POST', '/v1/bounced-addresses/clear', { address });
        return { json: { address, cleared: true }, lines: [`Mails are sent to ${address} again.`] };
      },
    },
  ],
};

const detailCell = (detail: Record<string, unknown>): string =>
  Object.entries(detail)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ') || '-';
