import { createHash } from 'node:crypto';
import type { Backup, Verification } from '#shared/domain/backup/backup.ts';
import type { BootJob, WorkerJob } from '#shared/domain/backup/job-ports.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { type BackupResult, resultSigner, signManifest, type VerifyResult } from '#shared/domain/backup/manifest.ts';
import { hmacSigner, seal } from '#shared/domain/backup/manifest-seal.ts';
import type { BegunVerification } from '#shared/domain/backup/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { JobRunner, JobState } from '#shared/domain/instance/ports.ts';
import { exampleContext, exampleInstance, exampleOperation, exampleServer } from '#shared/testing/examples.ts';
import { exampleResult } from './example-result.fixture.ts';
import type { VerifyPorts } from './restore-to-verify.ts';

const none = async (): Promise<never> => {
  throw new Error('nobody asks for this here');
};

export const backupId = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e60';
const manifestKey = `backups/abcdefgh2345/${backupId}/manifest`;
const dumpKey = Buffer.alloc(32, 'wrapped dump');
const signer = hmacSigner('k1', Buffer.alloc(32, 7));

/** One verification's row, its backup with a signed manifest, a cluster and a server in memory. `did` has every change. */
export function makeVerifyWorld(
  change: { result?: Partial<BackupResult>; request?: object; backup?: Partial<Backup> } = {},
) {
  const operation = exampleOperation({ kind: 'verify', request: { instance: 'abcdefgh2345', ...change.request } });
  const context = exampleContext({ operation, instance: exampleInstance({ observedGeneration: 1 }) });
  const result = { ...exampleResult(`backups/abcdefgh2345/${backupId}/1`, backupId), ...change.result };
  const manifest = signManifest(result, { dump: 'wrapped dump', files: 'wrapped files' }, signer);
  const backup: Backup = {
    ...{ id: backupId, instanceId: 'abcdefgh2345', customerId: 'c-1', kind: 'manual', serverId: 'one' },
    ...{ state: 'succeeded', round: 1, dumpKey: 'wrapped dump', startedAt: new Date(), finishedAt: new Date() },
    manifest: { key: manifestKey, sha256: createHash('sha256').update(manifest).digest('hex') },
    ...{ snapshotAt: new Date(), summary: {}, sizes: null, previousId: null, error: null },
    proof: { state: 'none', at: null, by: null, text: null, odooBooted: false },
    ...{ keepUntil: null, lockedUntil: null, deletedAt: null, deleteReason: null },
    ...change.backup,
  };
  const did: string[] = [];
  const world = {
    did,
    row: undefined as Verification | undefined,
    jobs: new Map<string, JobState>(),
    started: [] as (WorkerJob | BootJob)[],
    objects: new Map<string, Buffer>([[manifestKey, manifest]]),
    databases: new Map<string, string>(),
    /** What the next drop of a database comes to. */
    dropping: undefined as Failure | undefined,
  };
  const rowOf = (round: number): Verification => ({
    ...{ id: operation.id, backupId, instanceId: 'abcdefgh2345', serverId: 'verify', round, state: 'running' },
    ...{
      startedAt: new Date(),
      finishedAt: null,
      odooBooted: false,
      boot: null,
      bootText: null,
      differences: [],
      error: null,
    },
  });
  const begun = (verification: Verification): BegunVerification => {
    return { verification, backup, server: exampleServer({ id: 'verify' }), filesKey: 'wrapped files' };
  };
  const mustRun = (round: number): Verification => {
    if (world.row?.state === 'running' && world.row.round === round) return world.row;
    throw new Failure('conflict', 'that round does not run');
  };
  const jobs = <Job extends WorkerJob | BootJob>(): JobRunner<Job> => ({
    look: async (name) => world.jobs.get(name) ?? { state: 'absent' },
    async start(job) {
      did.push(`start ${job.name}`);
      world.started.push(job);
      world.jobs.set(job.name, { state: 'running' });
    },
    remove: async (name) => void (world.jobs.delete(name) && did.push(`remove ${name}`)),
    ...{ countOf: none, removeAllOf: none },
  });
  const ports: VerifyPorts = {
    records: { progress: async () => undefined, read: async () => backup },
    verifications: {
      async begin() {
        const isProven = world.row?.state === 'proven' && world.row.boot !== 'failed';
        if (world.row !== undefined && (world.row.state === 'running' || isProven)) return begun(world.row);
        world.row = rowOf((world.row?.round ?? 0) + 1);
        did.push(`begin round ${world.row.round}`);
        return begun(world.row);
      },
      async another(_operation, { round }) {
        world.row = rowOf(round + 1);
        did.push(`go on with round ${round + 1}`);
        return begun(world.row);
      },
      async finish(_operation, { round, odooBooted, differences }) {
        const state = differences.length === 0 ? 'proven' : 'refuted';
        world.row = { ...mustRun(round), state, odooBooted, differences };
        did.push(state);
        return world.row;
      },
      async noteBoot(_operation, { round, boot, text }) {
        world.row = { ...mustRun(round), boot, bootText: text ?? null };
        did.push(`boot ${boot}`);
      },
      read: async () => world.row,
    },
    databases: {
      async create(_server, { fence }, { name, password }) {
        did.push(`create ${name} under fence ${fence}`);
        world.databases.set(name, password);
      },
      isThere: async (_server, name) => world.databases.has(name),
      async drop(_server, _fenced, name) {
        if (world.dropping !== undefined) throw world.dropping;
        if (world.databases.delete(name)) did.push(`drop ${name}`);
      },
      ...{ list: none, sweep: none },
    },
    servers: { find: async (id) => exampleServer({ id }) },
    store: {
      head: async (key) => {
        const found = world.objects.get(key);
        return found && { size: found.length, writtenAt: new Date(), lockedUntil: undefined };
      },
      get: async (key) => world.objects.get(key),
      ...{ put: none, write: none, read: none, list: none, remove: none },
    },
    workers: { ...jobs<WorkerJob>(), list: none },
    boots: jobs<BootJob>(),
    bootPercent: 0,
    wrapper: {
      wrap: none,
      unwrap: async (wrapped) => Buffer.alloc(32, wrapped),
      rewrap: none,
    },
    signer,
    storeAccess: async () => ({ kind: 'directory', folder: '/srv/backups' }),
    workerImage: () => 'the worker',
  };
  const place = (round: number) => `verifications/abcdefgh2345/${backupId}/${operation.id}/${round}`;
  const jobName = (round: number, task = 'verify') => `odoo-abcdefgh2345-${task}-2c3d4e5f-${round}`;
  /** What a Job of that round leaves: a result that is signed as its order said. */
  const leaveResult = (round: number, found: Partial<VerifyResult> = {}, resultKey?: string) => {
    const order = { operationId: operation.id, attempt: round };
    const key = resultKey ?? jobSecrets(dumpKey, { operationId: operation.id, round }).resultKey;
    const body: VerifyResult = {
      ...{ version: 1, instanceId: 'abcdefgh2345', backupId, ...order, manifestSha256: backup.manifest?.sha256 ?? '' },
      ...{ startedAt: '2027-01-31T10:00:00.000Z', finishedAt: '2027-01-31T10:05:00.000Z' },
      ...{ differences: [], more: 0, tables: 2, rows: 7, files: 1, bytes: 100 },
      ...found,
    };
    const sealed = seal(body, 'verify-result', resultSigner({ ...order, resultKey: key }));
    world.objects.set(`${place(round)}/result`, sealed);
    world.jobs.set(jobName(round), { state: 'succeeded' });
  };
  return { world, ports, context, backup, place, jobName, leaveResult };
}
