import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { masterPasswordHash } from '#shared/adapters/kubernetes/master-password.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { deriveInstanceId, namesOf } from '#shared/domain/instance/names.ts';
import { odooConf, odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import type { Claims } from '#shared/sandbox/kubernetes-node/claims.ts';
import { deployments, type Pod, type PodSpec, type Secret } from '#shared/sandbox/kubernetes-node/objects.ts';
import { openPodAddresses } from '#shared/sandbox/kubernetes-node/pod-addresses.ts';
import { startPodWorker } from '#shared/sandbox/kubernetes-node/pod-worker.ts';
import { untilTrue, whenPageAnswers } from '../conditions.ts';
import type { World } from './world.ts';

const newPassword = () => randomBytes(18).toString('base64url');
const bootTimeoutMs = 120_000;

/** An instance of its own whose database is claimed and personalised, as a provisioning leaves it before its Deployment. */
export async function claimedInstance(
  { servers, server, template }: World,
  like: Instance,
  name: string,
): Promise<{ instance: Instance; databasePassword: string }> {
  const id = deriveInstanceId('urn:bench:boot', name);
  const instance: Instance = { ...like, id, name, host: `${name}.localhost`, databaseServer: server };
  const fenced = { instanceId: id, fence: 1 };
  const databasePassword = newPassword();
  await servers.databases.takeOver(server, fenced);
  await servers.databases.createRoles(server, fenced, {
    password: databasePassword,
    connectionLimit: like.plan.databaseConnections,
  });
  if (!(await servers.databases.claimWarm(server, fenced, template))) throw new Error('there was no warm database');
  const personal = { instance, adminPassword: newPassword(), baseUrl: `http://${instance.host}` };
  await servers.databases.personalise(server, fenced, personal);
  return { instance, databasePassword };
}

/**
 * Boots the container of a provisioned instance once more, with a claimed database of its own and nothing around it: no
 * cluster, no probes, no proxy. Milliseconds from the start of its process until its login page answers.
 */
export async function bootAlone(
  world: World,
  options: { like: string; name: string; beforeStart: () => Promise<void> },
): Promise<number> {
  const { fleet, cluster, odoo } = world;
  const { instance: like } = await readInstance(fleet.records, options.like);
  const { instance, databasePassword } = await claimedInstance(world, like, options.name);
  const deployment = await cluster.get(deployments, tenantNamespace, namesOf(like.id).object);
  if (deployment === undefined) throw new Error(`the Deployment of instance ${like.id} is gone`);
  await options.beforeStart();
  const conf = odooConf({
    instance,
    databaseServer: world.server,
    databasePassword,
    masterPasswordHash: masterPasswordHash(newPassword(), instance.id),
  });
  const folder = join(fleet.folder, 'boot', options.name);
  await mkdir(join(folder, 'claim'), { recursive: true, mode: 0o711 });
  const podIP = openPodAddresses().take();
  const worker = startPodWorker(podOf(deployment.spec.template.spec, options.name), {
    folder,
    podIP,
    isRoot: process.getuid?.() === 0,
    processes: fleet.processes,
    claims: oneClaim(join(folder, 'claim')),
    sources: { secret: () => Promise.resolve(secretOf(conf)), configMap: () => Promise.resolve(undefined) },
    findImage: () => Promise.resolve(odoo.image),
    changed: () => undefined,
    onError: (error) => process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`),
  });
  try {
    const [container] = worker.record.main;
    const hasStarted = () => Promise.resolve(container?.startedAtMs !== undefined);
    await untilTrue('the process to start', hasStarted, { timeoutMs: bootTimeoutMs, everyMs: 1 });
    const startedMs = (container?.startedAtMs ?? 0) - performance.timeOrigin;
    const page = `http://${podIP}:${odooPorts.http}/web/login`;
    return (await whenPageAnswers(page, { timeoutMs: bootTimeoutMs })) - startedMs;
  } finally {
    await worker.stop(5_000);
  }
}

/** Probes would ask for the page beside the measurement. */
function podOf(spec: PodSpec, name: string): Pod {
  const containers = spec.containers.map(
    ({ startupProbe: _startup, readinessProbe: _readiness, livenessProbe: _liveness, ...container }) => container,
  );
  const metadata = { name, uid: name, namespace: tenantNamespace };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, containers, restartPolicy: 'Never' } };
}

function oneClaim(folder: string): Claims {
  return { use: () => ({ folder, release: () => Promise.resolve() }), stop: () => Promise.resolve() };
}

function secretOf(conf: string): Secret {
  const data = { 'odoo.conf': Buffer.from(conf).toString('base64') };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'configuration' }, data };
}
