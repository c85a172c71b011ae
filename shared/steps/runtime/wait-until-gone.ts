import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import { done, type Look, type Step, waiting } from '#shared/domain/operation/step.ts';

/** Pods end within their grace time, mostly in seconds. */
const checkMs = 1_000;

async function pods(context: InstanceContext, { cluster }: { cluster: TenantCluster }): Promise<Look> {
  const count = await cluster.countPods(context.instance);
  return count === 0 ? done : waiting(`${count} pods to end`, { checkAfterMs: checkMs });
}

/** Waits until no pod of the instance is left: only then is nobody writing any more. */
export function waitUntilGone(ports: { cluster: TenantCluster }): Step<InstanceContext> {
  return {
    name: 'gone',
    touchesServer: false,
    look: (context) => pods(context, ports),
    act: (context) => pods(context, ports),
  };
}
