import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import { readKubeconfig } from '#shared/sandbox/kubernetes/kubeconfig.ts';
import { startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { untilTrue } from '../conditions.ts';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio, percentile } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Arm, namespace, openClientNode, openOurs, openRaw } from './arms.ts';

const serverFile = fileURLToPath(new URL('servers/api.ts', import.meta.url));
const readGoal = 2;
const connectionsGoal = 0.01;
const listLength = 200;
/** Calls per round; client-node makes a handshake for each, so it gets fewer. */
const calls = { one: 500, many: 2_000, list: 20 };
const clientNodeCalls = { one: 50, many: 100, list: 5 };
const inFlight = 20;

/** Time and TLS connections of a read from a Kubernetes API: the product's client against bare undici and client-node. */
export async function benchKubernetes(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 9;
  const server = await startServer(surroundings);
  const arms = {
    raw: await openRaw(server.kubeconfigFile),
    ours: openOurs(server.kubeconfigFile),
    clientNode: openClientNode(server.kubeconfigFile),
  };
  try {
    for (const arm of Object.values(arms)) await measure(arm, server, clientNodeCalls);
    const samples = await interleave(
      rounds,
      {
        raw: () => measure(arms.raw, server, calls),
        ours: () => measure(arms.ours, server, calls),
        clientNode: () => measure(arms.clientNode, server, clientNodeCalls),
      },
      (round) => surroundings.say(`round ${round + 1} of ${rounds}`),
    );
    return report(samples, { rounds, bytes: server.bytes });
  } finally {
    await Promise.all(Object.values(arms).map((arm) => arm.close()));
    await server.stop();
  }
}

type Server = { kubeconfigFile: string; bytes: number; connections(): Promise<number>; stop(): Promise<void> };

/** A process that answers with a Deployment as the product writes it, under the address of the sandbox's API server. */
async function startServer({ folder, processes }: Surroundings): Promise<Server> {
  const apiFolder = join(folder, 'api');
  await mkdir(apiFolder, { recursive: true });
  const kubeconfigFile = join(apiFolder, 'kubeconfig');
  const files = { object: join(folder, 'object.json'), list: join(folder, 'list.json') };
  const bytes = await writeAnswers(apiFolder, files);
  const { url, ca = '' } = await readKubeconfig(kubeconfigFile);
  const running = await processes.start({
    name: 'kubernetes-api',
    command: process.execPath,
    args: [serverFile],
    env: {
      PORT: new URL(url).port,
      IDENTITY_FOLDER: apiFolder,
      OBJECT_FILE: files.object,
      LIST_FILE: files.list,
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    },
    logFile: join(folder, 'server.log'),
  });
  // One connection for all questions about connections.
  const dispatcher = new Agent({ connections: 1, keepAliveTimeout: 600_000, connect: { ca } });
  const connections = async () => {
    const { body } = await request(`${url}/connections`, { dispatcher });
    return Number(await body.text());
  };
  await untilTrue('the API server', async () => (await connections()) > 0, { timeoutMs: 20_000, everyMs: 50 });
  return {
    kubeconfigFile,
    bytes,
    connections,
    async stop() {
      await dispatcher.destroy();
      await running.stop({ signal: 'SIGKILL' });
    },
  };
}

/** Has the sandbox's server fill in a Deployment; its size in bytes. */
async function writeAnswers(folder: string, files: { object: string; list: string }): Promise<number> {
  const { kubeconfigFile, stop } = await startKubernetesApi({ folder });
  const adapter = openTenantCluster({ kubeconfigFile, namespace, clientNamespaces: [] });
  const api = openKubernetesApi({ kubeconfigFile });
  try {
    const instance = exampleInstance();
    await adapter.cluster.apply(instance, 'deployment', exampleRuntime());
    const object = await api.read(kinds.deployment, namespace, `odoo-${instance.id}`);
    const text = JSON.stringify(object);
    await writeFile(files.object, text);
    const items = Array.from({ length: listLength }, () => object);
    await writeFile(
      files.list,
      JSON.stringify({ apiVersion: 'apps/v1', kind: 'DeploymentList', metadata: { resourceVersion: '1' }, items }),
    );
    return text.length;
  } finally {
    await adapter.close();
    await api.close();
    await stop();
  }
}

type Sample = {
  /** Milliseconds of one call: one after the other, with others in flight, of a list. */
  oneMs: number;
  oneP95Ms: number;
  manyMs: number;
  perSecond: number;
  listMs: number;
  connectionsPerCall: number;
};

async function measure(arm: Arm, server: Server, count: typeof calls): Promise<Sample> {
  const before = await server.connections();
  const one = await timed(() => arm.read(), { count: count.one, workers: 1 });
  const begun = performance.now();
  const many = await timed(() => arm.read(), { count: count.many, workers: inFlight });
  const perSecond = (count.many / (performance.now() - begun)) * 1_000;
  const list = await timed(() => arm.list(), { count: count.list, workers: 1 });
  const connections = (await server.connections()) - before;
  return {
    oneMs: median(one),
    oneP95Ms: percentile(one, 0.95),
    manyMs: median(many),
    perSecond,
    listMs: median(list),
    connectionsPerCall: connections / (count.one + count.many + count.list),
  };
}

/** Milliseconds of each call. */
async function timed(call: () => Promise<unknown>, options: { count: number; workers: number }): Promise<number[]> {
  const times: number[] = [];
  let left = options.count;
  const worker = async () => {
    for (; left > 0; ) {
      left -= 1;
      const begun = performance.now();
      await call();
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: options.workers }, worker));
  return times;
}

type Samples = Record<'raw' | 'ours' | 'clientNode', Sample[]>;

function report(samples: Samples, { rounds, bytes }: { rounds: number; bytes: number }): BenchReport {
  const of = (arm: keyof Samples, field: keyof Sample) => samples[arm].map((sample) => sample[field]);
  const ratio = (arm: keyof Samples, field: keyof Sample) => medianRatio(of(arm, field), of('raw', field));
  const row = (name: string, arm: keyof Samples) => [
    name,
    median(of(arm, 'oneMs')),
    ratio(arm, 'oneMs'),
    median(of(arm, 'oneP95Ms')),
    median(of(arm, 'manyMs')),
    ratio(arm, 'manyMs'),
    median(of(arm, 'perSecond')),
    median(of(arm, 'listMs')),
    ratio(arm, 'listMs'),
    median(of(arm, 'connectionsPerCall')).toFixed(4),
  ];
  return {
    name: 'kubernetes',
    about: `reads of one Deployment (${bytes} bytes) and of a list of ${listLength}, over TLS from a server in another process that only sends bytes, ${rounds} rounds.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds',
        columns: [
          'client',
          'read p50 ms',
          '× undici',
          'p95 ms',
          `p50 ms, ${inFlight} in flight`,
          '× undici',
          'reads/s',
          'list ms',
          '× undici',
          'TLS connections/call',
        ],
        rows: [
          row('undici and JSON.parse', 'raw'),
          row('the product’s client', 'ours'),
          row('@kubernetes/client-node', 'clientNode'),
        ],
      },
    ],
    goals: [
      goal('read p50 against undici', ratio('ours', 'oneMs'), readGoal),
      goal(`read p50 against undici, ${inFlight} in flight`, ratio('ours', 'manyMs'), readGoal),
      {
        what: 'new TLS connections per call',
        // The worst round: after the first one there is nothing to connect for.
        measured: Math.max(...of('ours', 'connectionsPerCall')),
        limit: connectionsGoal,
        unit: 'per call',
        is: 'at most',
      },
    ],
    notes: ['A server that does nothing shows a client’s own cost; a real API server takes milliseconds of its own.'],
  };
}

function goal(what: string, measured: number, limit: number): BenchReport['goals'][number] {
  return { what, measured, limit, unit: 'x', is: 'at most' };
}
