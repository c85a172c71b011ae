import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { afterAll, beforeAll } from 'vitest';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { Failure } from '#shared/domain/failure.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { type Fleet, type FleetOptions, startFleet } from '#shared/sandbox/fleet/start.ts';
import { type ClusterClient, openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { ensureOdooImage } from '#shared/sandbox/odoo/odoo-image.ts';
import type { PostgresServer } from '#shared/sandbox/servers/postgres.ts';
import { type InstanceTraces, queryAsSuperuser, tracesOf } from './fleet-traces.ts';
import { type SecretsSeen, watchSecrets } from './secret-scan.ts';

/** The `source` of the events tests send. */
export const userService = 'urn:test:user-service';

/** An event as a publisher writes it; `data` is sent as JSON. */
export type TestEvent = {
  id: string;
  type: string;
  source: string;
  data?: unknown;
  attributes?: Record<string, string>;
};

/** A request as it goes over the wire. */
export type RawEvent = { headers: Record<string, string>; body: string | Buffer };

export type EventAnswer = { status: number; outcome: string | undefined; body: string };

/** What the tests want to know of an operation's row. */
export type OperationSeen = {
  id: string;
  state: string;
  step: string | null;
  round: number;
  waiting_for: string | null;
  error_code: string | null;
  error_text: string | null;
};

/** A whole fleet with the stand-in Odoo, in a temporary folder, and what tests do with it. */
export type TestFleet = Fleet & {
  /** Every value a Secret of the cluster ever had since the start. */
  secretsSeen: SecretsSeen;
  cluster: ClusterClient;
  /** POSTs to the broker, as a publisher does. */
  publish(event: TestEvent): Promise<EventAnswer>;
  /** POSTs to a function itself, as a broker does; the function is started by it. */
  deliver(functionName: string, event: TestEvent | RawEvent): Promise<EventAnswer>;
  /** Sends an operation command, `dev.odoofleet.operation.<word>`; retry and cancel are in the row when it resolves. */
  command(word: 'advance' | 'retry' | 'cancel', instanceId: string): Promise<EventAnswer>;
  /** Rows of the platform's records. */
  rows<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  operationOf(instanceId: string): Promise<OperationSeen | undefined>;
  /** Waits until the instance's operation is in one of these states. @throws Error at once when it ends in another. */
  operationIn(states: string | readonly string[], instanceId: string): Promise<OperationSeen>;
  tracesOf(instanceId: string): Promise<InstanceTraces>;
  /** Status code of the instance's login page through the ingress. */
  loginPage(name: string): Promise<number>;
};

/** A request for an instance, as a user service sends it. */
export function provisionRequest(
  name: string,
  data: Record<string, unknown> = {},
  options: { id?: string } = {},
): TestEvent {
  return {
    id: options.id ?? randomUUID(),
    type: provisionRequested.type,
    source: userService,
    data: { customer: `customer-${name}`, name, plan: 'small', owner: { email: `owner@${name}.example` }, ...data },
  };
}

/** The instance a request names. */
export function instanceIdOf(event: TestEvent): string {
  const { instance, idempotencykey } = event.data as { instance?: string; idempotencykey?: string };
  return instance ?? deriveInstanceId(event.source, idempotencykey ?? event.id);
}

/** The event in binary mode. */
export function rawEvent({ id, type, source, data, attributes = {} }: TestEvent): RawEvent {
  const headers: Record<string, string> = {
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-type': type,
    'ce-source': source,
    'content-type': 'application/json',
  };
  for (const [name, value] of Object.entries(attributes)) headers[`ce-${name}`] = value;
  return { headers, body: data === undefined ? '' : JSON.stringify(data) };
}

/**
 * Polls until `probe` gives something. One that fails because a database is away, or late, is asked again: a test may have
 * stopped it, and a busy machine stands still for seconds. @throws Error that says what did not come true.
 */
export async function until<Found>(
  what: string,
  probe: () => Promise<Found | undefined | false>,
  options: { timeoutMs?: number; everyMs?: number } = {},
): Promise<Found> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const deadline = Date.now() + timeoutMs;
  let cause: Failure | undefined;
  const unlessAway = (error: unknown): undefined => {
    if (!(error instanceof Failure) || !['unavailable', 'timeout'].includes(error.code)) throw error;
    cause = error;
  };
  for (;;) {
    cause = undefined;
    const found = await probe().catch(unlessAway);
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`Gave up after ${timeoutMs / 1000} s waiting for ${what}.`, { cause });
    await delay(options.everyMs ?? 100);
  }
}

/** Waits until every Odoo server holds a ready clone: without a template there an instance comes about by a Job, which stays for a while. */
export async function untilWarm(fleet: Fleet): Promise<void> {
  const text = String.raw`select 1 from pg_database where datname like 'warm\_%'`;
  // The real Odoo builds its template in a quarter of a minute on a quiet machine.
  const isWarm = async (server: PostgresServer) => (await queryAsSuperuser(server, text)).length > 0;
  const probe = async () => (await Promise.all(fleet.servers.odooServers.map(isWarm))).every(Boolean);
  await until('a warm database on every server', probe, { timeoutMs: 180_000 });
}

async function post(url: string, { headers, body }: RawEvent): Promise<EventAnswer> {
  const answer = await request(url, { method: 'POST', headers, body, headersTimeout: 90_000 });
  const outcome = answer.headers['x-outcome'];
  return {
    status: answer.statusCode,
    outcome: typeof outcome === 'string' ? outcome : undefined,
    body: await answer.body.text(),
  };
}

const operationText = `select id, state, step, round, waiting_for, error_code, error_text from operations
  where instance_id = $1`;

const unremarkable = /"(level|severity)":("?(trace|debug|info|DEBUG|INFO)|[123]0)|"msg":"a slow request"/;

/**
 * The latest lines of the functions' logs that are warnings or worse, or no log lines at all (what Node itself prints).
 * Slow requests, of which there are many on a busy machine, are left out. `of`: the folder of the logs in the fleet's own.
 */
export async function warningsOf({ folder }: Fleet, of = 'functions'): Promise<string> {
  const logs = join(folder, of);
  const lines: string[] = [];
  for (const name of (await readdir(logs).catch((): string[] => [])).sort()) {
    const text = await readFile(join(logs, name), 'utf8');
    const bad = text.split('\n').filter((line) => line !== '' && !unremarkable.test(line));
    lines.push(...bad.slice(-8).map((line) => `${name}: ${line.slice(0, 600)}`));
  }
  return lines.join('\n');
}

function helpers(fleet: Fleet, cluster: ClusterClient): Omit<TestFleet, keyof Fleet | 'secretsSeen' | 'cluster'> {
  const rows = async <Row extends object>(text: string, values: readonly unknown[] = []) =>
    (await fleet.records.query<Row>(text, values)).rows;
  const operationOf = async (instanceId: string) => (await rows<OperationSeen>(operationText, [instanceId]))[0];
  const publish = (event: TestEvent) => post(fleet.broker.url, rawEvent(event));
  return {
    rows,
    operationOf,
    publish,
    deliver: (name, event) => post(fleet.functions.url(name), 'headers' in event ? event : rawEvent(event)),
    async command(word, instanceId) {
      const operation = await operationOf(instanceId);
      if (operation === undefined) throw new Error(`Instance ${instanceId} has no operation.`);
      const id = randomUUID();
      const answer = await publish({
        id,
        type: `dev.odoofleet.operation.${word}`,
        source: userService,
        data: { operation: operation.id, instance: instanceId, kind: 'provision', reason: 'a test asked for it' },
        attributes: { subject: instanceId, opkind: 'provision', operationid: operation.id, partitionkey: instanceId },
      });
      if (word === 'advance') return answer;
      const noted = `select 1 from audit where operation_id = $1 and detail ->> 'event' = $2`;
      await until(`the ${word} to be noted`, async () => (await rows(noted, [operation.id, id])).length > 0);
      return answer;
    },
    async operationIn(states, instanceId) {
      const wanted = typeof states === 'string' ? [states] : states;
      let seen: OperationSeen | undefined;
      const found = await until(`operation of ${instanceId} to be ${wanted.join(' or ')}`, async () => {
        seen = await operationOf(instanceId);
        if (seen === undefined) return false;
        if (['succeeded', 'failed', 'cancelled'].includes(seen.state) && !wanted.includes(seen.state)) return seen;
        return wanted.includes(seen.state) && seen;
      }).catch(async (cause: unknown) => {
        throw new Error(`It is ${JSON.stringify(seen)}\n${await warningsOf(fleet)}`, { cause });
      });
      if (!wanted.includes(found.state)) {
        throw new Error(`It ended otherwise: ${JSON.stringify(found)}\n${await warningsOf(fleet)}`);
      }
      return found;
    },
    tracesOf: (instanceId) => tracesOf(fleet, cluster, instanceId),
    async loginPage(name) {
      const answer = await request(`http://127.0.0.1:${fleet.ingressPort}/web/login`, {
        headers: { host: `${name}.localhost:${fleet.ingressPort}` },
      });
      await answer.body.dump();
      return answer.statusCode;
    },
  };
}

export type TestFleetOptions = Partial<Omit<FleetOptions, 'odoo' | 'imageDigest'>> & {
  /** The stand-in unless stated. */
  which?: 'stand-in' | 'real';
};

/** Starts it: quick ticks, no crash safety of the database servers, one ready clone. `end` stops it and removes its folder. */
export async function startTestFleet(
  options: TestFleetOptions = {},
): Promise<{ fleet: TestFleet; end(): Promise<void> }> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'fleet-e2e-')));
  // PostgreSQL runs as another user, who has to get to its own folder below
  await chmod(folder, 0o711);
  const { which = 'stand-in', ...fleetOptions } = options;
  const { image, digest } = await ensureOdooImage({ which });
  const started = await startFleet({
    folder,
    odoo: image,
    imageDigest: digest,
    durable: false,
    tickMs: 500,
    warmTarget: 1,
    ...fleetOptions,
    // Odoo is started on restored backups where a test asks for it, not by chance
    functionSettings: { VERIFY_BOOT_PERCENT: '0', ...fleetOptions.functionSettings },
  }).catch(async (cause: unknown) => {
    if (options.folder === undefined) await removeTree(folder);
    throw cause;
  });
  const cluster = await openClusterClient(started.kubeconfigFile);
  const secretsSeen = await watchSecrets(cluster);
  return {
    fleet: { ...started, ...helpers(started, cluster), cluster, secretsSeen },
    async end() {
      await secretsSeen.stop();
      await cluster.close();
      await started.stop();
      if (options.folder === undefined) await removeTree(folder);
    },
  };
}

/** One fleet for all tests of a file. Call it at the top; what it returns works inside tests. */
export function fleetOfThisFile(options: TestFleetOptions & { waitsForWarm?: boolean } = {}): () => TestFleet {
  const { waitsForWarm, ...fleetOptions } = options;
  let running: Awaited<ReturnType<typeof startTestFleet>> | undefined;
  beforeAll(async () => {
    running = await startTestFleet(fleetOptions);
    if (waitsForWarm === true) await untilWarm(running.fleet);
  });
  afterAll(() => running?.end());
  return () => {
    if (running === undefined) throw new Error('the fleet is started in beforeAll: ask for it inside a test');
    return running.fleet;
  };
}
