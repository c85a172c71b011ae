import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { isWantedRunning } from '#shared/domain/instance/instance.ts';
import type { TenantCluster, TenantHttp } from '#shared/domain/instance/ports.ts';
import { done, type Look, type Step, waiting } from '#shared/domain/operation/step.ts';

/** Without an event from the cluster the Deployment is looked at this often. */
const deploymentCheckMs = 5_000;
/** An available Deployment whose page does not answer yet is about to: the Service's endpoints follow within a second. */
const pageCheckMs = 1_000;

async function readiness(context: InstanceContext, ports: { cluster: TenantCluster; http: TenantHttp }): Promise<Look> {
  // A stop or a suspension came meanwhile: there is nothing to wait for.
  if (!isWantedRunning(context.instance)) return done;
  const deployment = await ports.cluster.availability(context.instance);
  if (!deployment.available) return waiting(`Deployment: ${deployment.reason}`, { checkAfterMs: deploymentCheckMs });
  const page = await ports.http.loginPageAnswers(context.instance);
  return page.answers ? done : waiting(`login page: ${page.reason}`, { checkAfterMs: pageCheckMs });
}

/** Waits for both: the Deployment is available, and the login page of the tenant's own database answers. */
export function waitUntilReady(ports: { cluster: TenantCluster; http: TenantHttp }): Step<InstanceContext> {
  return {
    name: 'ready',
    touchesServer: false,
    look: (context) => readiness(context, ports),
    act: (context) => readiness(context, ports),
  };
}
