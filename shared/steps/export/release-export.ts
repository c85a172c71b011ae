import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { type ExportPorts, runOf } from './make-export.ts';

type Ports = Pick<ExportPorts, 'exports' | 'workers'>;

/** Takes away the Jobs of the export, with their Secrets. */
export function releaseExportStep(ports: Ports): Step<InstanceContext> {
  return {
    name: 'release',
    touchesServer: false,
    async look(context) {
      for (const name of await jobsOf(context, ports)) {
        if ((await ports.workers.look(name)).state !== 'absent') return missing;
      }
      return done;
    },
    async act(context) {
      await releaseExport(context, ports);
      return done;
    },
  };
}

/** The same for one that ends otherwise than well; what is in the store the tick removes. */
export async function releaseExport(context: InstanceContext, ports: Ports): Promise<void> {
  for (const name of await jobsOf(context, ports)) await ports.workers.remove(name);
}

/** Those of all rounds; none when it was never begun. */
async function jobsOf(context: InstanceContext, { exports }: Ports): Promise<string[]> {
  const found = await exports.read(context.operation.id);
  const rounds = Array.from({ length: found?.round ?? 0 }, (_, index) => index + 1);
  return rounds.map((round) => runOf(context, { round }).name);
}
