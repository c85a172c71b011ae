import { workerJobName } from '#shared/domain/backup/job-names.ts';
import { loadPrefix } from '#shared/domain/backup/load-names.ts';
import type { Load } from '#shared/domain/backup/load-ports.ts';
import type { NeutralizeOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import { odooEnvironment, odooJobConf } from '#shared/domain/instance/odoo-conf.ts';
import type { ClusterJobs, JobState, OdooJob } from '#shared/domain/instance/ports.ts';
import { neutralizeCommand } from '#shared/domain/odoo/neutralize-command.ts';
import { shortOperationId } from '#shared/domain/operation/identifiers.ts';
import { done, type Look, missing, type Step, waiting } from '#shared/domain/operation/step.ts';
import { handOverLoad } from '../load/finish-load.ts';
import { type LoadPorts, loadSecrets, loadSession, readLoad } from '../load/load-beside.ts';

export type NeutralizePorts = Pick<
  LoadPorts,
  'loads' | 'wrapper' | 'loadDatabases' | 'workers' | 'storeAccess' | 'workerImage'
> & { jobs: ClusterJobs };

/**
 * Makes the loaded copy harmless before any Odoo knows of it: by our rules; then by those that the instance's own image
 * brings for its modules, ours or not; then by ours again, looked at once more, together with a new identity. After each of
 * them nobody but the load's own role may connect. Each is a Job, which has hours: of a database of any size every table
 * that may hold a secret is read.
 */
export function neutralizeCopy(ports: NeutralizePorts): readonly Step<InstanceContext>[] {
  const isOver = handOverLoad(ports).look;
  return [byRules('neutralize', { ports, isOver }), byImage(ports, isOver), byRules('identity', { ports, isOver })];
}

type Over = (context: InstanceContext) => Promise<Look>;

/** Jobs by our rules: the second one also gives the copy its identity. */
type Rules = 'neutralize' | 'identity';
const rules: readonly Rules[] = ['neutralize', 'identity'];

function byRules(which: Rules, { ports, isOver }: { ports: NeutralizePorts; isOver: Over }): Step<InstanceContext> {
  return {
    name: which,
    async look(context) {
      const over = await isOver(context);
      if (over.found === 'done') return over;
      const name = rulesName(context, { which, round: (await readLoad(context, ports)).round });
      const job = await ports.workers.look(name);
      if (job.state === 'succeeded') return done;
      if (job.state === 'running') return waitingFor(name);
      if (job.state === 'failed' && !wasLost(job)) throw refusalOf(name, job.reason);
      return missing;
    },
    async act(context) {
      const load = await readLoad(context, ports);
      const name = rulesName(context, { which, round: load.round });
      if (await takeAwayLost(name, ports.workers)) return waitingForLost(name);
      await ports.workers.start({
        ...{ name, owner: context.instance.id, operationId: context.operation.id, task: 'neutralize' },
        image: ports.workerImage(),
        order: JSON.stringify(await orderOf(context, which, ports)),
        ...{ volume: null, memoryMib: rulesMemoryMib, deadlineSeconds: rulesDeadlineSeconds },
      });
      return waitingFor(name);
    },
  };
}

/**
 * Somebody else ended it, or the server was away, or nobody knows whether it was committed. The worker's last line begins
 * with its failure's code; behind that the tenant may have had a say.
 */
function wasLost({ reason, wasInterrupted }: FailedJob): boolean {
  return wasInterrupted === true || /^[^:]*: (unavailable|timeout|outcome-unknown): /.test(reason);
}

type FailedJob = Extract<JobState, { state: 'failed' }>;

type Runner = { look(name: string): Promise<JobState>; remove(name: string): Promise<void> };

/** Of what was lost nothing is kept. False: there is none. */
async function takeAwayLost(name: string, runner: Runner): Promise<boolean> {
  if ((await runner.look(name)).state === 'absent') return false;
  await runner.remove(name);
  return true;
}

/** The next one does not follow at once: what ended this one may last. */
const lostCheckMs = 15_000;

function waitingForLost(name: string): Look {
  return waiting(`another Job ${name}, as this one was lost`, { checkAfterMs: lostCheckMs });
}

function refusalOf(name: string, reason: string): Failure {
  const code = /^[^:]*: not-allowed: /.test(reason) ? 'not-allowed' : 'job-failed';
  return new Failure(code, `Job ${name}, which neutralizes the copy, failed: ${reason}`);
}

async function orderOf(context: InstanceContext, which: Rules, ports: NeutralizePorts): Promise<NeutralizeOrder> {
  const { instance, operation } = context;
  const { server, database, user, password } = await loadSession(context, ports);
  const { host, port, sslMode } = server;
  const load = await readLoad(context, ports);
  const { resultKey } = await loadSecrets(context, load, ports);
  return {
    version: 1,
    task: 'neutralize',
    instanceId: instance.id,
    operationId: operation.id,
    attempt: load.round,
    store: await ports.storeAccess(),
    prefix: `${loadPrefix({ instanceId: instance.id, operationId: operation.id, round: load.round })}/${which}`,
    resultKey,
    database: { host, port, sslMode, user, password, database },
    identity: which === 'identity' ? { baseUrl: context.publicUrl } : null,
  };
}

/** A Job of the image: who wrote a module knows best what of it must not act. */
function byImage(ports: NeutralizePorts, isOver: Over): Step<InstanceContext> {
  return {
    name: 'neutralize-by-image',
    async look(context) {
      const over = await isOver(context);
      if (over.found === 'done') return over;
      const name = nameOf(context, await readLoad(context, ports));
      const job = await ports.jobs.look(name);
      if (job.state === 'succeeded') return done;
      if (job.state === 'running') return waitingFor(name);
      // What it says at its end is the modules' own: only an end by somebody else is taken for one.
      if (job.state === 'failed' && job.wasInterrupted !== true) {
        throw new Failure('job-failed', `Job ${name}, which neutralizes the copy, failed: ${job.reason}. See its log.`);
      }
      return missing;
    },
    async act(context) {
      const name = nameOf(context, await readLoad(context, ports));
      if (await takeAwayLost(name, ports.jobs)) return waitingForLost(name);
      const { database, user: role, password } = await loadSession(context, ports);
      await ports.jobs.start(jobOf(context, { name, database, role, password }));
      return waitingFor(name);
    },
  };
}

function waitingFor(name: string): Look {
  return waiting(`Job ${name}`, { checkAfterMs: 5_000 });
}

const rulesMemoryMib = 256;
const rulesDeadlineSeconds = 2 * 3_600;

/** Every load has its own: a retry loads anew. */
function nameOf({ instance, operation }: InstanceContext, { round }: Pick<Load, 'round'>): string {
  return `odoo-${instance.id}-neutral-${shortOperationId(operation.id)}-${round}`;
}

function rulesName(
  { instance, operation }: InstanceContext,
  { which, round }: { which: Rules; round: number },
): string {
  const place = { instanceId: instance.id, operationId: operation.id, round };
  return `${workerJobName('neutralize', place)}-${which}`;
}

type ReleasePorts = Pick<NeutralizePorts, 'loads' | 'jobs' | 'workers'>;

/** The Jobs of all rounds, each with its runner; none when nothing was loaded. */
async function jobsOf(context: InstanceContext, ports: ReleasePorts) {
  const load = await ports.loads.read(context.operation.id);
  const rounds = Array.from({ length: load?.round ?? 0 }, (_, index) => index + 1);
  return rounds.flatMap((round) => [
    { runner: ports.jobs, name: nameOf(context, { round }) },
    ...rules.map((which) => ({ runner: ports.workers, name: rulesName(context, { which, round }) })),
  ]);
}

/** Ends and removes the Jobs, with their Secrets. Repeatable. */
export async function removeNeutralizing(context: InstanceContext, ports: ReleasePorts): Promise<void> {
  for (const { runner, name } of await jobsOf(context, ports)) await runner.remove(name);
}

/** The same when they have done their work. */
export function releaseNeutralizing(ports: ReleasePorts): Step<InstanceContext> {
  return {
    name: 'release-neutralize',
    touchesServer: false,
    async look(context) {
      for (const { runner, name } of await jobsOf(context, ports)) {
        if ((await runner.look(name)).state !== 'absent') return missing;
      }
      return done;
    },
    async act(context) {
      await removeNeutralizing(context, ports);
      return done;
    },
  };
}

/** It runs statements, and loads no module. */
const memoryMib = 512;
/** What the image brings are statements without an index, too. */
const deadlineSeconds = 3_600;

function jobOf(
  context: InstanceContext,
  job: { name: string; database: string; role: string; password: string },
): OdooJob {
  const { instance, operation } = context;
  const { database, role, password: databasePassword } = job;
  const databaseServer = serverOf(context);
  return {
    name: job.name,
    owner: instance.id,
    operationId: operation.id,
    image: instance.image.reference,
    command: neutralizeCommand(database),
    odooConf: odooJobConf({ database, role, databaseServer, databasePassword }),
    environment: odooEnvironment(databaseServer),
    memoryMib,
    deadlineSeconds,
  };
}
