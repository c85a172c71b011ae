import type { Backup } from '#shared/domain/backup/backup.ts';
import type { WorkerJob } from '#shared/domain/backup/job-ports.ts';
import type { BackupRecords } from '#shared/domain/backup/ports.ts';
import type { Failure } from '#shared/domain/failure.ts';
import type { JobState } from '#shared/domain/instance/ports.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { exampleContext, exampleInstance, exampleOperation } from '#shared/testing/examples.ts';
import type { BackupPorts } from './make-backup.ts';

const none = async (): Promise<never> => {
  throw new Error('nobody asks for this here');
};

/** One backup's row, one cluster and one store in memory, as far as the steps see them. `did` has every change, in order. */
export function makeWorld() {
  const did: string[] = [];
  const world = {
    did,
    row: undefined as Backup | undefined,
    jobs: new Map<string, JobState>(),
    started: [] as WorkerJob[],
    objects: new Map<string, Buffer>(),
    hasRole: false,
    /** What the next close of the role comes to. */
    closing: undefined as Failure | undefined,
    progress: undefined as unknown,
  };
  const rowOf = (round: number): Backup => ({
    ...{ id: exampleOperation().id, instanceId: 'abcdefgh2345', customerId: 'c-1', kind: 'manual', serverId: 'one' },
    ...{ state: 'running', round, dumpKey: `wrapped-${round}`, startedAt: new Date(), finishedAt: null },
    ...{ snapshotAt: null, manifest: null, summary: {}, sizes: null, previousId: null, error: null },
    proof: { state: 'none', at: null, by: null, text: null, odooBooted: false },
    ...{ keepUntil: null, lockedUntil: null, deletedAt: null, deleteReason: null },
  });
  const begun = (backup: Backup) => ({ backup, dumpKey: backup.dumpKey ?? '', filesKey: 'wrapped-files' });
  const records: BackupRecords = {
    async begin() {
      if (world.row?.state === 'running') return begun(world.row);
      world.row = rowOf((world.row?.round ?? 0) + 1);
      did.push(`begin round ${world.row.round}`);
      return begun(world.row);
    },
    async another(_operation, { round }) {
      world.row = rowOf(round + 1);
      did.push(`go on with round ${round + 1}`);
      return begun(world.row);
    },
    progress: async (_operation, progress) => void (world.progress = progress),
    read: async () => world.row,
    newest: async () => undefined,
    ...{ succeed: none, find: none, list: none, newestProven: none, filesKey: none },
  };
  const store: ObjectStore = {
    head: async (key) => {
      const found = world.objects.get(key);
      return found && { size: found.length, writtenAt: new Date(), lockedUntil: undefined };
    },
    get: async (key) => world.objects.get(key),
    ...{ put: none, write: none, read: none, list: none, remove: none },
  };
  const ports: BackupPorts = {
    records,
    store,
    access: {
      async open(_server, { fence }, { password }) {
        did.push(`open the database under fence ${fence}`);
        world.hasRole = true;
        return { user: 'the role', database: `odoo_abcdefgh2345 for ${password.length} characters` };
      },
      isClosed: async () => !world.hasRole,
      async close() {
        if (world.closing !== undefined) throw world.closing;
        did.push('close the database');
        world.hasRole = false;
      },
    },
    workers: {
      look: async (name) => world.jobs.get(name) ?? { state: 'absent' },
      async start(job) {
        did.push(`start ${job.name}`);
        world.started.push(job);
        world.jobs.set(job.name, { state: 'running' });
      },
      remove: async (name) => void (world.jobs.delete(name) && did.push(`remove ${name}`)),
      ...{ countOf: none, removeAllOf: none, list: none },
    },
    cluster: { countPods: async () => 1 },
    wrapper: {
      wrap: async (_key, { purpose }) => `fresh ${purpose}`,
      unwrap: async (wrapped) => Buffer.alloc(32, wrapped),
      rewrap: none,
    },
    storeAccess: async () => ({ kind: 'directory', folder: '/srv/backups' }),
    workerImage: () => 'the worker',
  };
  const operation = exampleOperation({ kind: 'backup', request: { kind: 'manual' } });
  const context = exampleContext({ operation, instance: exampleInstance({ observedGeneration: 1 }) });
  const place = (round: number) => `backups/abcdefgh2345/${operation.id}/${round}`;
  const jobName = (round: number) => `odoo-abcdefgh2345-backup-2c3d4e5f-${round}`;
  return { world, ports, context, place, jobName };
}
