import { type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooEnvironment, odooJobConf } from '#shared/domain/instance/odoo-conf.ts';
import type { OdooJob } from '#shared/domain/instance/ports.ts';
import { templateBuildCommand } from '#shared/domain/odoo/template-build.ts';

/** Half of the operation's deadline: a Job that takes longer would leave no time for the rest. */
const deadlineSeconds = 15 * 60;

/** Loading modules takes this much whatever the plan; measured for base at 350 MiB, with room for large sets. */
const memoryMib = 1024;

/** The Job that initialises an instance's own database with its modules, under the tenant's role. */
export function initialisationJob(context: InstanceContext, job: { name: string; databasePassword: string }): OdooJob {
  const { instance, operation } = context;
  const { database, role } = namesOf(instance.id);
  return {
    name: job.name,
    owner: instance.id,
    operationId: operation.id,
    image: instance.image.reference,
    // Moves the attachments into the database, too: the Job's files go with its pod.
    command: templateBuildCommand({ database, modules: instance.modules, language: instance.language }),
    odooConf: odooJobConf({
      database,
      role,
      databaseServer: serverOf(context),
      databasePassword: job.databasePassword,
    }),
    environment: odooEnvironment(serverOf(context)),
    memoryMib,
    deadlineSeconds,
  };
}
