import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { cutSessions } from '../database/cut-sessions.ts';
import { applyPart, type RuntimePorts } from './apply-part.ts';
import { drainCron } from './drain-cron.ts';
import { waitUntilGone } from './wait-until-gone.ts';

/** Scheduled actions first, then the web pods, then what is still connected. The row must not want the instance to run. */
export function bringDown(ports: RuntimePorts): readonly Step<InstanceContext>[] {
  return [drainCron(ports), scaleDown(ports), waitUntilGone(ports), cutSessions(ports)];
}

/**
 * The Deployments without pods, as the row wants them. Without the credentials Secret they cannot be written: then they go
 * altogether, because one who must not run is not to run on for a lost Secret.
 */
export function scaleDown(ports: Pick<RuntimePorts, 'cluster' | 'credentials'>): Step<InstanceContext> {
  const apply = applyPart('deployment', ports);
  const hasCredentials = async (context: InstanceContext) => {
    context.credentials ??= await ports.credentials.read(context.instance);
    return context.credentials !== undefined;
  };
  return {
    name: 'scale-down',
    touchesServer: false,
    async look(context) {
      if (await hasCredentials(context)) return await apply.look(context);
      return (await ports.cluster.isGone(context.instance, 'deployment')) ? done : missing;
    },
    async act(context) {
      if (await hasCredentials(context)) return await apply.act(context);
      await ports.cluster.remove(context.instance, 'deployment', fencedOf(context));
      return done;
    },
  };
}
