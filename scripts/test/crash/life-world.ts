import { upsertPlan } from '#shared/adapters/postgres/plans.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { provisionRequest, type TestFleetOptions, until, untilWarm } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { carryOut, instanceSeen, settled } from '#shared/testing/life.ts';
import { newInstanceId, startWorld, type World } from './world.ts';

/**
 * A world for crashes of what comes after provisioning. Its reconcile looks for no drift unless a test says so.
 * `started` is called before it waits for warm databases, which need ticks.
 */
export async function startLifeWorld(
  options: TestFleetOptions = {},
  started: (world: World) => void = () => undefined,
): Promise<World> {
  const world = await startWorld({
    ...options,
    functionSettings: { RECONCILE_EVERY_MS: '86400000', ...options.functionSettings },
  });
  await upsertPlan(world.fleet.records, {
    id: planWithCronPods,
    ...{ cpuMillis: 1000, memoryMib: 2048, diskGib: 10, workers: 0, cronThreads: 1, databaseConnections: 16 },
    replicas: 2,
  });
  started(world);
  await untilWarm(world.fleet);
  // One that is under way has noted its next time before it ends.
  await until('no pass to be under way', async () => {
    const under = 'select 1 from reconcile_shards where until is not null and until > now() limit 1';
    await world.fleet.rows(`update reconcile_shards set due_at = 'infinity'`);
    return (await world.fleet.rows(under)).length === 0;
  });
  return world;
}

/** Two web pods, and one more for scheduled actions. */
export const planWithCronPods = 'pair';

/** An instance that runs. */
export async function newRunning({ fleet }: World, data: { plan?: string } = {}): Promise<string> {
  const instanceId = newInstanceId();
  await fleet.publish({
    ...provisionRequest(`i${instanceId}`, { instance: instanceId, ...data }),
    attributes: { subject: instanceId },
  });
  await until('the provisioning to be accepted', () => fleet.operationOf(instanceId));
  await settled(fleet, instanceId);
  return instanceId;
}

/** One that is terminated, and whose time for an undo is over. */
export async function newTerminated(world: World): Promise<string> {
  const instanceId = await newRunning(world);
  await carryOut(world.fleet, 'terminate', instanceId);
  const text = `update instances set purge_after = now() - interval '1 second' where id = $1`;
  await world.fleet.rows(text, [instanceId]);
  return instanceId;
}

/** What a person with rights everywhere might have done to a running instance. */
export async function breakByHand({ fleet }: World, instanceId: string): Promise<string> {
  const { object, role } = namesOf(instanceId);
  const core = `/api/v1/namespaces/${tenantNamespace}`;
  const paths = [
    `${core}/services/${object}`,
    `${core}/secrets/${object}-configuration`,
    `/apis/networking.k8s.io/v1/namespaces/${tenantNamespace}/ingresses/${object}`,
    `/apis/networking.k8s.io/v1/namespaces/${tenantNamespace}/networkpolicies/${object}`,
    `/apis/apps/v1/namespaces/${tenantNamespace}/deployments/${object}`,
  ];
  for (const path of paths) {
    await fleet.cluster.request('DELETE', path, { body: { propagationPolicy: 'Background' } });
  }
  // The id is ours: base32.
  await queryAsSuperuser(fleet.servers.odoo, `alter role "${role}" nologin`);
  // Or it would depend on how long the repair takes whether the loss is noted before it.
  await until('the loss to be seen', async () => (await instanceSeen(fleet, instanceId)).status === 'missing');
  return instanceId;
}
