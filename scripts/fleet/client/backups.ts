import { Failure } from '#shared/domain/failure.ts';
import { sizeOf } from '../screen.ts';
import type { Group } from './command.ts';
import { facts, listed, listOptions, timeCell } from './listing.ts';
import { asked, reasonOption, watchOptions } from './operations.ts';

type Backup = {
  id: string;
  instanceId: string;
  kind: string;
  state: string;
  snapshotAt: string | null;
  sizes: { dumpBytes: number; filesBytes: number } | null;
  proof: { state: string; odooBooted: boolean };
  isLastProven: boolean;
};

export const backups: Group = {
  noun: 'backups',
  says: 'backups of an instance',
  commands: [
    {
      usage: 'list <instance>',
      says: 'newest first',
      options: [['--state <states>', 'such as succeeded'], ['--proof <proofs>', 'such as proven'], ...listOptions],
      run: (call) =>
        listed<Backup>(call, '/v1/backups', {
          query: ['state', 'proof'],
          fixed: { instance: call.operands[0] },
          heads: ['BACKUP', 'KIND', 'STATE', 'PROOF', 'HOLDS THE STATE OF', 'DUMP', 'FILES'],
          cells: (one) => [
            ...[one.id, one.kind, one.state],
            `${one.proof.state}${one.proof.odooBooted ? ', booted' : ''}${one.isLastProven ? ', the last' : ''}`,
            ...[timeCell(one.snapshotAt), sizeOf(one.sizes?.dumpBytes), sizeOf(one.sizes?.filesBytes)],
          ],
          none: 'There are no backups.',
        }),
    },
    {
      usage: 'show <instance> [backup]',
      says: 'all of one; the newest that succeeded unless named',
      async run(call) {
        const [instance, id] = call.operands;
        const query = { instance, state: 'succeeded', limit: '1' };
        const body = (
          id === undefined
            ? ((await call.api().get('/v1/backups', query)) as { items: Backup[] }).items[0]
            : await call.api().get(`/v1/backups/${encodeURIComponent(id)}`)
        ) as Backup | undefined;
        if (body !== undefined && body.instanceId === instance) return { json: body, lines: facts(body) };
        throw new Failure('not-found', `Instance ${instance} has no such backup.`, { facts: { status: 404 } });
      },
    },
    {
      usage: 'create <instance>',
      says: 'makes one while the instance goes on running',
      options: [reasonOption, ...watchOptions],
      run: (call) => asked(call, `/v1/instances/${encodeURIComponent(call.operands[0] ?? '')}/backup`, {}),
    },
    {
      usage: 'verify <backup>',
      says: 'proves this one by restoring it aside',
      options: [reasonOption, ...watchOptions],
      run: (call) => asked(call, `/v1/backups/${encodeURIComponent(call.operands[0] ?? '')}/verify`, {}),
    },
  ],
};
