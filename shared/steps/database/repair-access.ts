import { credentialsOf, fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { CredentialsStore, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

type Ports = { databases: TenantDatabases; credentials: CredentialsStore };

/**
 * The tenant's role is there, may log in as often as its plan says, and takes the password of the credentials Secret. It acts
 * always: of a limit somebody changed a look by the tenant's own login would see nothing.
 */
export function repairLogin({ databases, credentials }: Ports): Step<InstanceContext> {
  return {
    name: 'login',
    look: async () => missing,
    async act(context) {
      const { databasePassword: password } = await credentialsOf(context, credentials);
      const connectionLimit = context.instance.plan.databaseConnections;
      await databases.createRoles(serverOf(context), fencedOf(context), { password, connectionLimit });
      return done;
    },
  };
}

/** The database belongs to its owner role, is open to its tenant and closed to everybody else. */
export function repairOwnership({ databases }: Ports): Step<InstanceContext> {
  return {
    name: 'ownership',
    async look(context) {
      return (await databases.isPersonalised(serverOf(context), context.instance)) ? done : missing;
    },
    async act(context) {
      await databases.repairOwnership(serverOf(context), fencedOf(context));
      return done;
    },
  };
}
