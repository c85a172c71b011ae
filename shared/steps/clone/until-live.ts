import { type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, type Step } from '#shared/domain/operation/step.ts';

/**
 * Steps that are over once the instance has its database: a retry of what came after it must not load another. A database
 * gets the live name in the last of them and by nothing else.
 */
export function untilLive(
  { databases }: { databases: Pick<TenantDatabases, 'whereabouts'> },
  steps: readonly Step<InstanceContext>[],
): readonly Step<InstanceContext>[] {
  return steps.map((step) => ({
    ...step,
    async look(context) {
      const place = await databases.whereabouts(serverOf(context), context.instance.id);
      return place === 'live' ? done : await step.look(context);
    },
  }));
}
