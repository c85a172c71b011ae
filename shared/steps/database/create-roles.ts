import { credentialsOf, fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { CredentialsStore, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Creates the tenant's login role and the NOLOGIN role that owns its database. */
export function createRoles(ports: {
  databases: TenantDatabases;
  credentials: CredentialsStore;
}): Step<InstanceContext> {
  return {
    name: 'roles',
    async look(context) {
      return (await ports.databases.hasRoles(serverOf(context), context.instance.id)) ? done : missing;
    },
    async act(context) {
      const { databasePassword } = await credentialsOf(context, ports.credentials);
      await ports.databases.createRoles(serverOf(context), fencedOf(context), {
        password: databasePassword,
        connectionLimit: context.instance.plan.databaseConnections,
      });
      return done;
    },
  };
}
