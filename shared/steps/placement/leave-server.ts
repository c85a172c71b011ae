import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Makes room on the instance's server. Last: whoever comes after it finds nothing of the instance there. */
export function leaveServer({ placement }: { placement: Placement }): Step<InstanceContext> {
  return {
    name: 'leave-server',
    look: async ({ instance }) => (instance.databaseServer === null ? done : missing),
    async act(context) {
      await placement.release(context.operation, context.instance.id);
      context.instance = { ...context.instance, databaseServer: null };
      return done;
    },
  };
}
