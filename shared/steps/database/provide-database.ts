import { Failure } from '#shared/domain/failure.ts';
import { credentialsOf, fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { ClusterJobs, CredentialsStore, OdooJob, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { templateKeyOf } from '#shared/domain/instance/template.ts';
import { shortOperationId } from '#shared/domain/operation/identifiers.ts';
import { done, type Look, missing, type Step, waiting } from '#shared/domain/operation/step.ts';

type Ports = {
  databases: TenantDatabases;
  jobs: ClusterJobs;
  credentials: CredentialsStore;
  /** Builds the Job that initialises the instance's own database. */
  initialisation: (context: InstanceContext, job: { name: string; databasePassword: string }) => OdooJob;
};

/** A retry by a person is a new round and a new Job; a redelivery is neither. */
function jobName({ operation, instance }: InstanceContext, round: number): string {
  return `odoo-${instance.id}-init-${shortOperationId(operation.id)}-${round}`;
}

type FoundJob = { name: string; round: number } & Awaited<ReturnType<ClusterJobs['look']>>;

/** The operation's latest Job, if there is one: that of an earlier round may still be at work. */
async function findJob(context: InstanceContext, jobs: ClusterJobs): Promise<FoundJob | undefined> {
  for (let { round } = context.operation; round >= 1; round -= 1) {
    const name = jobName(context, round);
    const job = await jobs.look(name);
    if (job.state !== 'absent') return { name, round, ...job };
  }
  return undefined;
}

/** Without an event of the Job its state is asked for this often. */
function waitingFor(name: string): Look {
  return waiting(`Job ${name}`, { checkAfterMs: 5_000 });
}

async function initialiseByJob(context: InstanceContext, ports: Ports): Promise<Look> {
  const { round } = context.operation;
  const server = serverOf(context);
  const job = await findJob(context, ports.jobs);
  if (job?.state === 'running') return waitingFor(job.name);
  // The database is looked at after its Job: before, one that ends in between would seem to have left nothing.
  if (job?.state === 'succeeded' && (await hasBase(context, ports))) return done;
  if (job?.round === round) {
    const why = job.state === 'failed' ? `failed: ${job.reason}` : "succeeded, but Odoo's base is not installed";
    throw new Failure('job-failed', `Job ${job.name}, which initialises the database, ${why}. See its log.`);
  }
  // What is in the database is what a failed Job left, or a crash before the Job: begin from nothing.
  await ports.databases.createEmpty(server, fencedOf(context));
  const name = jobName(context, round);
  const { databasePassword } = await credentialsOf(context, ports.credentials);
  await ports.jobs.start(ports.initialisation(context, { name, databasePassword }));
  return waitingFor(name);
}

async function hasBase(context: InstanceContext, { databases }: Ports): Promise<boolean> {
  const state = await databases.lookDatabase(serverOf(context), context.instance.id);
  return state === 'initialising' || state === 'initialised';
}

/**
 * Gives the instance an initialised database under its own name: a warm clone by rename, else a clone of the
 * template, else a Job that initialises an empty one.
 */
export function provideDatabase(ports: Ports): Step<InstanceContext> {
  return {
    name: 'database',
    async look(context) {
      const state = await ports.databases.lookDatabase(serverOf(context), context.instance.id);
      return state === 'initialised' ? done : missing;
    },
    async act(context) {
      const { instance } = context;
      const server = serverOf(context);
      const state = await ports.databases.lookDatabase(server, instance.id);
      if (state === 'initialised') return done;
      if (state === 'absent') {
        const template = templateKeyOf(instance.image, instance.modules, instance.language);
        if (await ports.databases.claimWarm(server, fencedOf(context), template)) return done;
        if (await ports.databases.cloneTemplate(server, fencedOf(context), template)) return done;
      }
      return await initialiseByJob(context, ports);
    },
    async undo(context) {
      const server = context.instance.databaseServer;
      if (server === null) return;
      for (let { round } = context.operation; round >= 1; round -= 1) {
        await ports.jobs.remove(jobName(context, round));
      }
      // Takes the roles along: they are of no use without the database, and it cannot go while they own it.
      await ports.databases.remove(server, fencedOf(context));
    },
  };
}
