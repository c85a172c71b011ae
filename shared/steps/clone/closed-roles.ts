import { fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/**
 * The roles of an instance whose database nobody may be let into yet. Undone, they go, and the database with them: after
 * `release`, which takes away what was loaded for them and may be theirs already.
 */
export function createClosedRoles({
  databases,
  release,
}: {
  databases: TenantDatabases;
  release: (context: InstanceContext) => Promise<void>;
}): Step<InstanceContext> {
  return {
    name: 'closed-roles',
    async look(context) {
      return (await databases.hasRoles(serverOf(context), context.instance.id)) ? done : missing;
    },
    async act(context) {
      await databases.createClosedRoles(serverOf(context), fencedOf(context));
      return done;
    },
    async undo(context) {
      const server = context.instance.databaseServer;
      if (server === null) return;
      await release(context);
      await databases.remove(server, fencedOf(context));
    },
  };
}
