import { join } from 'node:path';
import { oneLine } from '#shared/domain/one-line.ts';
import type { Kubectl } from './kubectl.ts';
import { readLogEnd, tellingLines } from './log-lines.ts';
import { type DaemonName, daemonPrograms } from './node-daemons.ts';
import { nodeName } from './places.ts';
import { runningDaemons } from './running.ts';

type Condition = { type: string; status: string; reason?: string; message?: string };
type State = { waiting?: { reason?: string; message?: string }; terminated?: { reason?: string; exitCode: number } };

/** The fields of a Node that are read. */
export type SeenNode = { status?: { conditions?: readonly Condition[] } };

/** The fields of a Pod that are read. */
export type SeenPod = {
  metadata: { namespace: string; name: string };
  status: {
    phase?: string;
    conditions?: readonly Condition[];
    containerStatuses?: readonly { restartCount?: number; state?: State; lastState?: State }[];
  };
};

export type NodeReport = {
  /** Daemons that do not run. */
  dead: readonly DaemonName[];
  /** Words on the node; why they are missing when it could not be read. */
  node: string;
  pods: readonly string[];
  /** Of daemons, and of containers that are not ready. */
  logs: readonly { name: string; lines: readonly string[] }[];
};

const linesOfLog = 15;
const mostPods = 10;
const mostPodLogs = 3;
/** Their logs are always in the report: a node is ready when these two are. */
const telling: readonly DaemonName[] = ['kubelet', 'containerd'];

/** Why the node is not ready, in the words of its conditions; undefined when it is. */
export function whyNotReady(node: SeenNode | undefined): string | undefined {
  if (node === undefined) return 'it is not registered: kubelet has not made its Node yet';
  const conditions = node.status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return undefined;
  if (ready === undefined) return 'its Node has no condition Ready: kubelet has not reported yet';
  // The others are good when they are False.
  const bad = conditions.filter(({ type, status }) => type !== 'Ready' && status !== 'False');
  return [ready, ...bad].map(conditionText).join('; ');
}

function conditionText({ type, status, reason, message }: Condition): string {
  const why = [reason, message].filter(Boolean).join(': ');
  return oneLine(`${type} is ${status}${why === '' ? '' : ` (${why})`}`, 400);
}

/** Those that are neither ready nor done. */
export function waitingPods(pods: readonly SeenPod[]): SeenPod[] {
  return pods.filter(({ status: { phase, conditions = [] } }) => {
    return phase !== 'Succeeded' && !conditions.some((one) => one.type === 'Ready' && one.status === 'True');
  });
}

/** What a pod waits for, and how its containers ended. */
export function podText({ metadata, status }: SeenPod): string {
  const containers = status.containerStatuses ?? [];
  const waiting = containers.map(({ state }) => state?.waiting).find((one) => one !== undefined);
  const unmet = status.conditions?.find((one) => one.status === 'False' && one.message);
  const { reason, message } = waiting ?? unmet ?? {};
  const ends = containers.flatMap(({ restartCount = 0, lastState }) => {
    const { reason: how = 'unknown', exitCode = '?' } = lastState?.terminated ?? {};
    return restartCount === 0 ? [] : [`${restartCount} restarts, last end: ${how}, exit code ${exitCode}`];
  });
  const why = [[reason, message].filter(Boolean).join(': '), ...ends].filter((one) => one !== '').join('; ');
  const text = `${metadata.namespace}/${metadata.name}: ${status.phase ?? 'unknown'}${why === '' ? '' : ` (${why})`}`;
  return oneLine(text, 500);
}

export function reportText({ dead, node, pods, logs }: NodeReport): string {
  const more = pods.length - mostPods;
  const lines = [
    `daemons that do not run: ${dead.length === 0 ? 'none' : dead.join(', ')}`,
    `node ${nodeName}: ${node}`,
    ...(pods.length === 0 ? [] : ['pods that are not ready:', ...pods.slice(0, mostPods).map((line) => `  ${line}`)]),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
  for (const { name, lines: text } of logs) {
    lines.push(`last lines of ${name}:`, ...(text.length === 0 ? ['(none)'] : text).map((line) => `  ${line}`));
  }
  return lines.join('\n');
}

/** What a person needs who cannot look at the machine. Harmless when nothing answers. */
export async function readNodeReport(kubectl: Kubectl, logFolder: string): Promise<string> {
  const running = await runningDaemons();
  const dead = daemonPrograms.map(({ name }) => name).filter((name) => !running.has(name));
  const unknown = (error: Error) => `unknown: ${oneLine(error.message, 400)}`;
  const node = await readNode(kubectl).then((found) => whyNotReady(found) ?? 'Ready is True', unknown);
  const pods = waitingPods(await readPods(kubectl).catch(() => []));
  const ofDaemons = [...new Set([...telling, ...dead])].map(async (name) => {
    return { name, lines: tellingLines(await readLogEnd(join(logFolder, `${name}.log`)), linesOfLog) };
  });
  const ofPods = pods.slice(0, mostPodLogs).map(async (pod) => {
    return { name: pod.metadata.name, lines: tellingLines(await readPodLog(kubectl, pod), linesOfLog) };
  });
  const logs = await Promise.all([...ofDaemons, ...ofPods]);
  return reportText({ dead, node, pods: pods.map(podText), logs });
}

/** Of the container before this one too: what runs may not have said yet why it will end. */
async function readPodLog(kubectl: Kubectl, { metadata: { namespace, name } }: SeenPod): Promise<string> {
  const args = ['-n', namespace, 'logs', name, '--all-containers', '--tail=30'];
  const logs = [['--previous'], []].map((more) => kubectl.run([...args, ...more], { timeoutMs: 10_000 }));
  const texts = await Promise.allSettled(logs);
  return texts.map((text) => (text.status === 'fulfilled' ? text.value : '')).join('');
}

/** Undefined when it is not registered. */
export async function readNode(kubectl: Kubectl): Promise<SeenNode | undefined> {
  const text = await kubectl.run(['get', 'node', nodeName, '--ignore-not-found', '-o', 'json'], { timeoutMs: 10_000 });
  return text.trim() === '' ? undefined : (JSON.parse(text) as SeenNode);
}

async function readPods(kubectl: Kubectl): Promise<SeenPod[]> {
  const text = await kubectl.run(['get', 'pods', '--all-namespaces', '-o', 'json'], { timeoutMs: 10_000 });
  return (JSON.parse(text) as { items: SeenPod[] }).items;
}
