import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { done, type Step } from '#shared/domain/operation/step.ts';

/**
 * The same steps, for instances of which `applies` is true; of others they count as done. Asked at every look, of the row
 * as it was loaded with the lease: what is no longer wanted is not brought about.
 */
export function onlyWhile(
  applies: (instance: Instance) => boolean,
  steps: readonly Step<InstanceContext>[],
): readonly Step<InstanceContext>[] {
  return steps.map((step) => ({
    ...step,
    look: async (context) => (applies(context.instance) ? await step.look(context) : done),
  }));
}
