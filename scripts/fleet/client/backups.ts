import { Failure } from '#shared/domain/failure.ts';
import { sizeOf } from '../screen.ts';
import type { Call, Group, Result } from './command.ts';
import { confirmInstance, yesOption } from './confirm.ts';
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
      example: 'backups list k3n5q2x7a4bc --proof proven',
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
      example: 'backups show k3n5q2x7a4bc',
      async run(call) {
        const [instance, id] = call.operands;
        const query = { instance, state: 'succeeded', limit: '1' };
        const body = (
          id === undefined
            ? ((await call.api().get('/v1/backups', query)) as { items: Backup[] }).items[0]
            : await call.api().get(`/v1/backups/${encodeURIComponent(id)}`)
        ) as Backup | undefined;
        if (body !== undefined && body.instanceId === instance) return { json: body, lines: facts(body, call.screen) };
        throw new Failure('not-found', `Instance ${instance} has no such backup.`, { facts: { status: 404 } });
      },
    },
    {
      usage: 'create <instance>',
      says: 'makes one while the instance goes on running',
      example: 'backups create k3n5q2x7a4bc --watch',
      options: [reasonOption, ...watchOptions],
      run: (call) => asked(call, `/v1/instances/${encodeURIComponent(call.operands[0] ?? '')}/backup`, {}),
    },
    {
      usage: 'verify <backup>',
      says: 'proves this one by restoring it aside',
      example: 'backups verify 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --watch',
      options: [reasonOption, ...watchOptions],
      run: (call) => asked(call, `/v1/backups/${encodeURIComponent(call.operands[0] ?? '')}/verify`, {}),
    },
    {
      usage: 'restore <instance> <backup>',
      says: 'puts the instance back to what a backup holds; what it is now is kept for a while',
      example: 'backups restore k3n5q2x7a4bc 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --watch',
      options: [yesOption, reasonOption, ...watchOptions],
      run: restore,
    },
    {
      usage: 'undo-restore <instance> <restore>',
      says: 'takes a restore back, named by its operation',
      example: 'backups undo-restore k3n5q2x7a4bc 01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f --watch',
      options: [yesOption, reasonOption, ...watchOptions],
      run: undoRestore,
    },
  ],
};

const restorePath = ([instance = '']: readonly string[]) => `/v1/instances/${encodeURIComponent(instance)}/restore`;

async function restore(call: Call): Promise<Result> {
  const [instance, backup] = call.operands;
  await confirmInstance(call, `Instance ${instance} is put back to what backup ${backup} holds. It is away meanwhile.`);
  return await asked(call, restorePath(call.operands), { backup });
}

async function undoRestore(call: Call): Promise<Result> {
  const [instance, undoes] = call.operands;
  await confirmInstance(
    call,
    `Instance ${instance} is put back to what it was before that restore. It is away meanwhile.`,
  );
  return await asked(call, restorePath(call.operands), { undoes });
}
