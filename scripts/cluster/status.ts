import { openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { type DaemonName, daemonPrograms } from './node-daemons.ts';
import { addresses, domain } from './places.ts';
import { runningDaemons, runningPlaces } from './running.ts';

export type ClusterStatus = {
  /** All daemons run and the API server answers. */
  isRunning: boolean;
  kubeconfig?: string;
  logs?: string;
  ingress?: { address: string; domain: string };
  daemons: { name: DaemonName; pid?: number; residentMib?: number }[];
  pods: { namespace: string; name: string; phase: string; isReady: boolean }[];
};

/** Of the machine's own cluster, also when it came up half. */
export async function clusterStatus(): Promise<ClusterStatus> {
  const places = await runningPlaces();
  const running = await runningDaemons();
  const daemons = daemonPrograms.map(({ name }) => ({ name, ...running.get(name) }));
  if (places === undefined) return { isRunning: false, daemons, pods: [] };
  const pods = running.has('apiserver') ? await listPods(places.kubeconfig) : undefined;
  return {
    isRunning: pods !== undefined && running.size === daemonPrograms.length,
    kubeconfig: places.kubeconfig,
    logs: places.logs,
    ingress: { address: addresses.ingress, domain },
    daemons,
    pods: pods ?? [],
  };
}

type Pod = {
  metadata: { namespace: string; name: string };
  status: { phase: string; conditions?: { type: string; status: string }[] };
};

/** Undefined when the API server does not answer. */
async function listPods(kubeconfig: string): Promise<ClusterStatus['pods'] | undefined> {
  const client = await openClusterClient(kubeconfig);
  try {
    const { status, body } = await client.request('GET', '/api/v1/pods', { signal: AbortSignal.timeout(10_000) });
    if (status !== 200) return undefined;
    return ((body as { items?: Pod[] }).items ?? []).map(({ metadata, status: { phase, conditions = [] } }) => ({
      namespace: metadata.namespace,
      name: metadata.name,
      phase,
      isReady: conditions.some((one) => one.type === 'Ready' && one.status === 'True'),
    }));
  } catch {
    // Its process runs, and it does not answer.
    return undefined;
  } finally {
    await client.close();
  }
}

export function statusText(status: ClusterStatus): string {
  const lines = status.daemons.map(({ name, pid, residentMib }) => {
    const what = pid === undefined ? 'does not run' : `process ${pid}, ${residentMib} MiB`;
    return `${name.padEnd(20)} ${what}`;
  });
  const waiting = status.pods.filter(({ isReady, phase }) => !isReady && phase !== 'Succeeded');
  if (status.kubeconfig !== undefined) {
    lines.push('', `${status.pods.length} pods, ${waiting.length} of them not ready`);
    lines.push(...waiting.map(({ namespace, name, phase }) => `  ${namespace}/${name}: ${phase}`));
    lines.push('', `export KUBECONFIG=${status.kubeconfig}`, `logs in ${status.logs}`);
    lines.push(`Knative Services: http://${addresses.ingress}/ with Host: NAME.NAMESPACE.${domain}`);
  }
  return [...lines, '', status.isRunning ? 'The cluster runs.' : 'The cluster does not run.'].join('\n');
}
