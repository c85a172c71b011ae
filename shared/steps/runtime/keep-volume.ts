import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Look, Step } from '#shared/domain/operation/step.ts';
import { applyPart, type RuntimePorts } from './apply-part.ts';

/**
 * The volume of an instance that was made: kept as the row wants it, and never made anew. An empty one in its place would
 * hide that the customer's files are gone.
 */
export function keepVolume(ports: Pick<RuntimePorts, 'cluster' | 'credentials'>): Step<InstanceContext> {
  const apply = applyPart('volume', ports);
  const refuseIfGone = async ({ instance }: InstanceContext) => {
    if (!(await ports.cluster.isGone(instance, 'volume'))) return;
    const text = `The volume claim of instance ${instance.id} is gone. No empty one is made: restore it and its files.`;
    throw new Failure('not-found', text);
  };
  return {
    name: apply.name,
    touchesServer: false,
    async look(context): Promise<Look> {
      await refuseIfGone(context);
      return await apply.look(context);
    },
    async act(context) {
      await refuseIfGone(context);
      return await apply.act(context);
    },
  };
}
