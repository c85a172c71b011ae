import { fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Ends what still is connected to the instance's database: pooled connections, and whoever came in from elsewhere. */
export function cutSessions({ databases }: { databases: TenantDatabases }): Step<InstanceContext> {
  return {
    name: 'sessions',
    async look(context) {
      if (context.instance.databaseServer === null) return done;
      return (await databases.countSessions(serverOf(context), context.instance.id)) === 0 ? done : missing;
    },
    async act(context) {
      await databases.cutSessions(serverOf(context), fencedOf(context));
      return done;
    },
  };
}
