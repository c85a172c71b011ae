import { randomBytes } from 'node:crypto';
import { workerJobName } from '#shared/domain/backup/job-names.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import { loadDatabaseName, loadPrefix } from '#shared/domain/backup/load-names.ts';
import type { Load, LoadDatabases, LoadRecords } from '#shared/domain/backup/load-ports.ts';
import { type LoadResult, openLoadResult } from '#shared/domain/backup/load-result.ts';
import { resultNames } from '#shared/domain/backup/manifest.ts';
import type { LoadOrder, LoadSource } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import {
  lookAtRun,
  passwordValidSeconds,
  startRun,
  type WorkerRun,
  type WorkerRunPorts,
  type WorkerStartPorts,
  wasLost,
} from '../backup/worker-run.ts';

/** What a load is made with. */
export type LoadPorts = WorkerRunPorts &
  WorkerStartPorts & {
    loads: LoadRecords;
    loadDatabases: LoadDatabases;
    cluster: Pick<TenantCluster, 'countPods'>;
    wrapper: KeyWrapper;
  };

/** What is loaded, and where to. */
export type WantedLoad = {
  /** With its keys in the clear: asked whenever a Job is started. @throws Failure when it may not be used any more. */
  source(context: InstanceContext): Promise<LoadSource>;
  /**
   * Where the files go; unless stated a folder of the database's name beside Odoo's own, from whose present folder equal
   * files are linked.
   */
  filestore?(context: InstanceContext, database: string): LoadOrder['filestore'];
  /** How long the load's role may log in, where Jobs of its own follow. Unless stated as long as the load's may take. */
  validSeconds?: number;
};

/** A folder of the filestore, by the name of its database. */
export function filestoreOf(database: string): string {
  return `${odooDataFolder}/filestore/${database}`;
}

export function runOf({ operation, instance }: InstanceContext, { round }: Pick<Load, 'round'>): WorkerRun {
  const place = { instanceId: instance.id, operationId: operation.id, round };
  const prefix = loadPrefix(place);
  return { name: workerJobName('load', place), prefix, result: 'result', round, outlivesOutages: true };
}

/** The name of the database of a load's present round, and of its role while it has one. */
export function loadedName({ operation, instance }: InstanceContext, { round }: Pick<Load, 'round'>): string {
  return loadDatabaseName({ instanceId: instance.id, operationId: operation.id, round });
}

/**
 * Has a Job restore the source beside what is live: into a database made for it, as a role that is nobody else's, and a
 * folder of its own on the instance's volume; then accepts what the Job says. Nothing live is touched. The volume and the
 * instance's server must be there.
 */
export function loadBeside(ports: LoadPorts, wanted: WantedLoad): readonly Step<InstanceContext>[] {
  return [runLoad(ports, wanted), acceptLoad(ports)];
}

function runLoad(ports: LoadPorts, wanted: WantedLoad): Step<InstanceContext> {
  return {
    name: 'load',
    async look(context) {
      const load = await ports.loads.read(context.operation.id);
      if (load === undefined || load.state === 'failed') return missing;
      return load.state === 'running' ? await lookAtRun(context, runOf(context, load), ports) : done;
    },
    async act(context) {
      const source = await wanted.source(context);
      const load = await begin(context, source, ports);
      const run = runOf(context, load);
      const { password, resultKey } = await loadSecrets(context, load, ports);
      const { operation, instance } = context;
      const server = serverOf(context);
      const validSeconds = wanted.validSeconds ?? passwordValidSeconds;
      const options = { operationId: operation.id, round: run.round, password, validSeconds };
      const { database, user } = await ports.loadDatabases.create(server, fencedOf(context), options);
      const { host, port, sslMode } = server;
      const order: LoadOrder = {
        version: 1,
        task: 'load',
        instanceId: instance.id,
        operationId: operation.id,
        attempt: run.round,
        store: await ports.storeAccess(),
        prefix: run.prefix,
        resultKey,
        source,
        database: { host, port, sslMode, user, password, database },
        filestore: {
          ...(wanted.filestore?.(context, database) ?? {
            folder: filestoreOf(database),
            linkFrom: filestoreOf(namesOf(instance.id).database),
          }),
          left: await leftBy(context, ports),
        },
      };
      return await startRun(context, { run, order, volume: await writableVolume(context, ports) }, ports);
    },
  };
}

/** The instance's volume for a Job that writes to it. */
export async function writableVolume({ instance }: InstanceContext, ports: Pick<LoadPorts, 'cluster'>) {
  const isInUse = (await ports.cluster.countPods(instance)) > 0;
  return { claimName: namesOf(instance.id).object, isInUse, isWritable: true };
}

/** Folders of the instance's other loads that are over: of all their rounds. */
async function leftBy({ operation, instance }: InstanceContext, { loads }: LoadPorts): Promise<string[]> {
  const over = await loads.listOver(operation.id, instance.id);
  return over.flatMap(({ id, round }) =>
    Array.from({ length: round }, (_, index) =>
      loadDatabaseName({ instanceId: instance.id, operationId: id, round: index + 1 }),
    ),
  );
}

async function begin(context: InstanceContext, source: LoadSource, ports: LoadPorts): Promise<Load> {
  const { operation, instance } = context;
  const freshKey = () => ports.wrapper.wrap(randomBytes(32), keyContextOf(context));
  const load = await ports.loads.begin(operation, {
    instanceId: instance.id,
    backupId: source.kind === 'backup' ? source.backupId : null,
    jobKey: await freshKey(),
  });
  if (!(await wasLost(context, runOf(context, load), ports))) return load;
  await ports.workers.remove(runOf(context, load).name);
  await ports.loadDatabases.drop(serverOf(context), fencedOf(context), loadedName(context, load));
  return await ports.loads.another(operation, { round: load.round, jobKey: await freshKey() });
}

/** Whose Jobs the key is for. */
export function keyContextOf({ operation, instance }: InstanceContext) {
  return { purpose: 'load', instanceId: instance.id, backupId: operation.id } as const;
}

/** What the Jobs of a load are given. */
export async function loadSecrets(context: InstanceContext, load: Load, ports: Pick<LoadPorts, 'wrapper'>) {
  const jobKey = await ports.wrapper.unwrap(load.jobKey, keyContextOf(context));
  return jobSecrets(jobKey, { operationId: load.id, round: load.round });
}

/** The session of the load's own role in what it loaded, until it is handed over. */
export async function loadSession(
  context: InstanceContext,
  ports: Pick<LoadPorts, 'loads' | 'wrapper'>,
): Promise<{ server: DatabaseServer; database: string; user: string; password: string }> {
  const load = await readLoad(context, ports);
  const { password } = await loadSecrets(context, load, ports);
  const name = loadedName(context, load);
  return { server: serverOf(context), database: name, user: name, password };
}

/** @throws Failure `internal` when nothing was loaded. */
export async function readLoad({ operation }: InstanceContext, ports: Pick<LoadPorts, 'loads'>): Promise<Load> {
  const load = await ports.loads.read(operation.id);
  if (load === undefined) throw new Failure('internal', 'There is no record of what was loaded.');
  return load;
}

/** Differences in the text of a failure; the result has more. */
const shown = 3;

/** @throws Failure `damaged` when what was loaded is not what its source says. */
function acceptLoad(ports: LoadPorts): Step<InstanceContext> {
  return {
    name: 'accept-load',
    touchesServer: false,
    look: async (context) => ((await readLoad(context, ports)).state === 'loaded' ? done : missing),
    async act(context) {
      const load = await readLoad(context, ports);
      const result = await readResult(context, load, ports);
      const { differences, more } = result;
      if (differences.length > 0) {
        const rest = differences.length - shown + more;
        const text = `${differences.slice(0, shown).join(' ')}${rest > 0 ? ` (${rest} more)` : ''}`;
        throw new Failure('damaged', `What was loaded is not what its source says: ${text}`);
      }
      await ports.loads.succeed(context.operation, { round: load.round, result });
      return done;
    },
  };
}

async function readResult(context: InstanceContext, load: Load, ports: LoadPorts): Promise<LoadResult> {
  const { prefix, round } = runOf(context, load);
  const bytes = await ports.store.get(`${prefix}/${resultNames.result}`);
  if (bytes === undefined) throw new Failure('job-failed', `The result of the load's Job, ${prefix}, is gone.`);
  const { resultKey } = await loadSecrets(context, load, ports);
  const { operation, instance } = context;
  const result = openLoadResult(bytes, { operationId: operation.id, attempt: round, resultKey });
  const isOurs = result.instanceId === instance.id && result.operationId === operation.id && result.attempt === round;
  if (!isOurs) throw new Failure('job-failed', `The result in ${prefix} is that of another load.`);
  return result;
}
