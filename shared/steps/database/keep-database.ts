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
    const { id } = context.instance;
    const where = await databases.whereabouts(serverOf(context), id);
    if (where === 'live') return done;
    const what = { aside: 'is set aside', absent: 'is gone', both: 'is there twice' }[where];
    throw new Failure(
      'not-found',
      `The database of instance ${id} ${what}. It is never made anew: find out who moved it, or restore a backup.`,
    );
  };
  return { name: 'find-database', look: find, act: find };
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
