import { credentialsOf, fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { CredentialsStore, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Makes the database the instance's own: owner, grants, identity, public address, administrator. */
export function personaliseDatabase(ports: {
  databases: TenantDatabases;
  credentials: CredentialsStore;
}): Step<InstanceContext> {
  return {
    name: 'personalise',
    async look(context) {
      return (await ports.databases.isPersonalised(serverOf(context), context.instance)) ? done : missing;
    },
    async act(context) {
      const { adminPassword } = await credentialsOf(context, ports.credentials);
      await ports.databases.personalise(serverOf(context), fencedOf(context), {
        instance: context.instance,
        adminPassword,
        baseUrl: context.publicUrl,
      });
      return done;
    },
  };
}
