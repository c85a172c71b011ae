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

/** The Job's name carries operation and round: a retry by a person is a new Job, a redelivery is not. */
function jobName(context: InstanceContext): string {
  const { operation, instance } = context;
  return `odoo-${instance.id}-init-${shortOperationId(operation.id)}-${operation.round}`;
}

/** How long to wait for the Job's event before asking for its state. */
const jobCheckMs = 5_000;

async function initialiseByJob(
  context: InstanceContext,
  { ports, hasBase }: { ports: Ports; hasBase: boolean },
): Promise<Look> {
  const name = jobName(context);
  const job = await ports.jobs.look(name);
  switch (job.state) {
    case 'running':
      return waiting(`Job ${name}`, { checkAfterMs: jobCheckMs });
    case 'failed':
      throw new Failure('job-failed', `Job ${name} could not initialise the database: ${job.reason}. See its log.`);
    case 'succeeded':
      if (hasBase) return done;
      throw new Failure('job-failed', `Job ${name} succeeded, but Odoo's base is not installed in the database.`);
    case 'absent': {
      // What is in the database is what a failed Job left, or a crash before the Job: begin from nothing.
      await ports.databases.createEmpty(serverOf(context), fencedOf(context));
      const { databasePassword } = await credentialsOf(context, ports.credentials);
      await ports.jobs.start(ports.initialisation(context, { name, databasePassword }));
      return waiting(`Job ${name}`, { checkAfterMs: jobCheckMs });
    }
  }
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
      return await initialiseByJob(context, { ports, hasBase: state === 'initialising' });
    },
    async undo(context) {
      const server = context.instance.databaseServer;
      if (server === null) return;
      await ports.jobs.remove(jobName(context));
      // Takes the roles along: they are of no use without the database, and it cannot go while they own it.
      await ports.databases.remove(server, fencedOf(context));
    },
  };
}
