import { Failure } from '#shared/domain/failure.ts';
import { credentialsOf, fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { CredentialsStore, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

type Ports = { databases: TenantDatabases };

/**
 * The instance's database must be there. It is never made anew: an empty one in place of a customer's books would be the
 * worst of answers.
 */
export function findDatabase({ databases }: Ports): Step<InstanceContext> {
  const find = async (context: InstanceContext) => {
    const where = await databases.whereabouts(serverOf(context), context.instance.id);
    if (where === 'live') return done;
    throw noDatabase(context, where);
  };
  return { name: 'find-database', look: find, act: find };
}

/** As `findDatabase`, and takes it out of a tombstone that an undo has left. */
export function recoverDatabase({ databases }: Ports): Step<InstanceContext> {
  return {
    name: 'recover-database',
    async look(context) {
      const where = await databases.whereabouts(serverOf(context), context.instance.id);
      if (where === 'live') return done;
      if (where === 'aside') return missing;
      throw noDatabase(context, where);
    },
    async act(context) {
      await databases.bringBack(serverOf(context), fencedOf(context));
      return done;
    },
  };
}

function noDatabase({ instance }: InstanceContext, where: 'aside' | 'absent' | 'both'): Failure {
  const what = { aside: 'is set aside', absent: 'is gone', both: 'is there twice' }[where];
  const text = `The database of instance ${instance.id} ${what}.`;
  return new Failure('not-found', `${text} It is never made anew: find out who moved it, or restore a backup.`);
}

/**
 * Takes the database out of use, with all its data: nobody can connect to it. It acts wherever there is one: that it bears
 * the tombstone's name does not say that nobody has opened it since.
 */
export function setDatabaseAside({ databases }: Ports): Step<InstanceContext> {
  return {
    name: 'set-database-aside',
    async look(context) {
      const { databaseServer, id } = context.instance;
      if (databaseServer === null) return done;
      return (await databases.whereabouts(databaseServer, id)) === 'absent' ? done : missing;
    },
    async act(context) {
      await databases.setAside(serverOf(context), fencedOf(context));
      return done;
    },
  };
}

/** The way back. Acts always: that the database has its name again does not say that the tenant may log in. */
export function bringDatabaseBack({
  databases,
  credentials,
}: Ports & { credentials: CredentialsStore }): Step<InstanceContext> {
  return {
    name: 'bring-database-back',
    async look(context) {
      const server = serverOf(context);
      if ((await databases.whereabouts(server, context.instance.id)) !== 'live') return missing;
      const { databasePassword: password } = await credentialsOf(context, credentials);
      return (await databases.mayLogIn(server, context.instance.id, { password })) ? done : missing;
    },
    async act(context) {
      await databases.bringBack(serverOf(context), fencedOf(context));
      return done;
    },
  };
}

/** Destroys the database and its roles. Only what was set aside before. */
export function purgeDatabase({ databases }: Ports): Step<InstanceContext> {
  return {
    name: 'purge-database',
    async look(context) {
      const { databaseServer, id } = context.instance;
      if (databaseServer === null) return done;
      const isGone = (await databases.whereabouts(databaseServer, id)) === 'absent';
      return isGone && !(await databases.hasRoles(databaseServer, id)) ? done : missing;
    },
    async act(context) {
      await databases.purge(serverOf(context), fencedOf(context));
      return done;
    },
  };
}

/** Odoo's own idea of its address, which its mails and redirects carry. */
export function setBaseUrl({
  databases,
  credentials,
}: Ports & { credentials: CredentialsStore }): Step<InstanceContext> {
  return {
    name: 'base-url',
    async look(context) {
      const { databasePassword: password } = await credentialsOf(context, credentials);
      const options = { password, baseUrl: context.publicUrl };
      return (await databases.hasBaseUrl(serverOf(context), context.instance.id, options)) ? done : missing;
    },
    async act(context) {
      const { databasePassword: password } = await credentialsOf(context, credentials);
      await databases.setBaseUrl(serverOf(context), fencedOf(context), { password, baseUrl: context.publicUrl });
      return done;
    },
  };
}
