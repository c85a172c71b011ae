import { join } from 'node:path';
import { type Broker, startBroker } from '#shared/sandbox/broker/broker.ts';
import type { Faults } from '#shared/sandbox/broker/faults.ts';
import { type FunctionHosts, startFunctionHosts } from '#shared/sandbox/functions/hosts.ts';
import type { FunctionProgram, HostEvent } from '#shared/sandbox/functions/instance.ts';
import { startTicker } from '#shared/sandbox/functions/ticker.ts';
import { startApiServerSource } from '#shared/sandbox/kubernetes/api-server-source.ts';
import type { Manifests, Trigger } from '#shared/sandbox/manifests.ts';
import type { ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { backupFolderOf } from './backups.ts';
import type { Cluster } from './cluster.ts';
import { functionProgram, mailFolderOf } from './function-programs.ts';
import type { FleetServers } from './servers.ts';
import type { StopList } from './stop-list.ts';

export type EventingOptions = {
  folder: string;
  /** Keeps functions running instead of stopping the idle ones. */
  warm?: boolean;
  idleMs?: number;
  /** Processes per function at most, for all or by name; 1 unless stated. */
  maxScale?: number | Readonly<Record<string, number>>;
  tickMs?: number;
  /** Backups are made by schedule, not only when asked for; off unless stated. */
  schedulesBackups?: boolean;
  /** Settings of the functions on top: `LEASE_MS`, `LOG_LEVEL`. */
  functionSettings?: Record<string, string>;
  /** Where the broker finds functions instead of at their host: `<gatewayUrl>/<function>`. For tests that come in between. */
  gatewayUrl?: string;
  /** On top of what every Trigger's manifest says: a shorter retry window. */
  delivery?: Partial<Trigger['delivery']>;
  /** Where functions reach PgBouncer, given its own address: a test's proxy. The fleet's own parts use PgBouncer itself. */
  functionBouncer?: (bouncer: { host: string; port: number }) => Promise<{ host: string; port: number }>;
  faults?: Faults;
  onFunction?: (event: HostEvent) => void;
};

export type Eventing = {
  broker: Broker;
  functions: FunctionHosts;
  /** How a function is started. */
  programOf(name: string): FunctionProgram;
};

/** What is there already. */
type Given = {
  manifests: Manifests;
  tenantNamespace: string;
  processes: ProcessGroup;
  servers: FleetServers;
  cluster: Cluster;
  secretsFolder: string;
  stops: StopList;
};

/** The broker, the functions behind it, and what sends by itself: the cluster's changes and the tick. */
export async function startEventing(options: EventingOptions, given: Given): Promise<Eventing> {
  const { manifests, cluster, servers, stops, processes } = given;
  // Functions and broker name each other; the functions' addresses are asked for at each delivery only.
  const holder: { functions?: FunctionHosts } = {};
  const urlOf = (name: string): string => {
    if (options.gatewayUrl !== undefined) return `${options.gatewayUrl}/${name}`;
    if (holder.functions === undefined) throw new Error('the functions are not there yet');
    return holder.functions.url(name);
  };
  const hostsPort = await freePort();
  const functionNames = new Set(manifests.services.map(({ name }) => name));
  const broker = await startBroker({
    folder: join(options.folder, 'broker'),
    triggers: manifests.triggers.map((trigger) => ({
      ...trigger,
      delivery: { ...trigger.delivery, ...options.delivery },
    })),
    subscriberUrl: urlOf,
    // an address also before the functions are there: what an earlier run dead-lettered is delivered at once
    deadLetterUrl: (name) => (functionNames.has(name) ? `http://127.0.0.1:${hostsPort}/${name}` : undefined),
    ...(options.faults === undefined ? {} : { faults: options.faults }),
  });
  const bouncer = (await options.functionBouncer?.(servers.bouncer)) ?? servers.bouncer;
  const programOf = (name: string): FunctionProgram =>
    functionProgram(name, {
      secretsFolder: given.secretsFolder,
      bouncer,
      redis: servers.redis,
      brokerUrl: broker.url,
      kubeconfigFile: cluster.kubeconfigFile,
      tenantConnectTo: cluster.serviceProxy,
      functionUrl: `http://127.0.0.1:${hostsPort}/{function}`,
      spoolFolder: join(options.folder, 'object-store'),
      mailFolder: mailFolderOf(options.folder),
      backupFolder: backupFolderOf(options.folder),
      schedulesBackups: options.schedulesBackups ?? false,
      extra: options.functionSettings ?? {},
    });
  const programs = manifests.services.map(({ name, containerConcurrency, timeoutMs }) => {
    return [
      name,
      { ...programOf(name), containerConcurrency, timeoutMs, maxScale: maxScaleOf(options, name) },
    ] as const;
  });
  const functions = await startFunctionHosts({
    functions: Object.fromEntries(programs),
    folder: join(options.folder, 'functions'),
    port: hostsPort,
    processes,
    idleMs: options.idleMs ?? 60_000,
    warm: options.warm ?? false,
    ...(options.onFunction === undefined ? {} : { log: options.onFunction }),
  });
  holder.functions = functions;
  stops.push('functions', () => functions.stopAll());
  // Before the functions in the order of stopping: nothing is delivered to what is going away.
  stops.add('broker', broker);
  await startSources(options, { ...given, brokerUrl: broker.url, tickUrl: functions.url('reconcile') });
  return { broker, functions, programOf };
}

/** What sends by itself. */
async function startSources(
  { tickMs = 2_000 }: EventingOptions,
  given: Pick<Given, 'manifests' | 'tenantNamespace' | 'cluster' | 'stops'> & { brokerUrl: string; tickUrl: string },
): Promise<void> {
  const source = await startApiServerSource({
    kubeconfigFile: given.cluster.kubeconfigFile,
    sink: given.brokerUrl,
    namespace: given.tenantNamespace,
    resources: given.manifests.watched,
  });
  given.stops.add('cluster events', source);
  const ticks = startTicker({
    everyMs: tickMs,
    target: given.tickUrl,
    source: '/apis/v1/namespaces/odoo-fleet/pingsources/reconcile',
  });
  given.stops.add('ticks', ticks);
}

function maxScaleOf({ maxScale = 1 }: EventingOptions, name: string): number {
  return typeof maxScale === 'number' ? maxScale : (maxScale[name] ?? 1);
}
