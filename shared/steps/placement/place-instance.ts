import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Puts the instance on an Odoo PostgreSQL server with room and counts it there. */
export function placeInstance(ports: { placement: Placement }): Step<InstanceContext> {
  return {
    name: 'place',
    look: async ({ instance }) => (instance.databaseServer === null ? missing : done),
    async act(context) {
      const databaseServer = await ports.placement.place(context.operation, context.instance.id);
      context.instance = { ...context.instance, databaseServer };
      return done;
    },
    async undo(context) {
      await ports.placement.release(context.operation, context.instance.id);
    },
  };
}
