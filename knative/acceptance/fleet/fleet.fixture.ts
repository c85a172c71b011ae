import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, inject } from 'vitest';
import { bridgeTo } from '#scripts/cluster/fleet/bridge.ts';
import { type DeployedFleet, deployFleet, importFunctions } from '#scripts/cluster/fleet/deploy.ts';
import { machineService } from '#scripts/cluster/fleet/manifests.ts';
import { importWorker } from '#scripts/cluster/fleet/worker-image.ts';
import { domain } from '#scripts/cluster/places.ts';
import { bringUpCluster, type RunningCluster } from '#scripts/cluster/up.ts';
import { type MailServer, openMailServer } from '#shared/adapters/mail/mail-server.fixture.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { type Answer, desk, type TestNamespace, testNamespace, until } from '../cluster.fixture.ts';

/** Address that mails come from. */
export const mailSender = 'fleet@odoo.example';

/** Of an installation: where people and mail servers are. Receivers of webhooks are pods here, without TLS. */
const settings = {
  API_URL: `http://api.odoo-fleet.${domain}`,
  SMTP_HOST: 'mail.odoo-fleet.svc',
  SMTP_PORT: '25',
  SMTP_SECURITY: 'none',
  MAIL_FROM: mailSender,
  WEBHOOK_TARGETS: 'any',
};

/** Who publishes in these tests. */
export const publisher = 'urn:acceptance';

export type PublishedEvent = { id: string; type: string; source?: string; data: Record<string, unknown> };

export type Operation = {
  id: string;
  instance_id: string;
  kind: string;
  state: string;
  step: string | null;
  definition_version: number;
  error_code: string | null;
  error_text: string | null;
};

/** The product as it is deployed, and what a publisher and an operator can do and see of it. */
export type FleetUnderTest = DeployedFleet & {
  cluster: RunningCluster;
  /** Of each function, and of the worker. */
  images: ReadonlyMap<string, string>;
  /** Scratch space that the tests' own servers can reach. */
  folder: string;
  /** Makes a request from a pod that is neither a function nor a tenant. */
  fromPod: TestNamespace['fromPod'];
  /** What that pod was told so far, at any path. */
  noted: TestNamespace['noted'];
  /** Where that pod is told something: `/note/…`. */
  deskUrl(path: string): string;
  /** The mail server of the functions' settings. */
  mails: MailServer;
  /** Posts an event to the real Broker. @throws Error unless it is taken. */
  publish(event: PublishedEvent): Promise<void>;
  /** Posts a request for an operation, and returns its event's id. */
  request(kind: string, instanceId: string, data?: Record<string, unknown>): Promise<string>;
  /** Asks for an instance of the small plan, and returns its id. A customer may have five. */
  provision(name: string, options?: { customer?: string }): Promise<string>;
  rows<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  operationsOf(instanceId: string): Promise<Operation[]>;
  /**
   * Waits until the instance has had as many operations as stated (one), and nothing of it is unfinished; returns its status.
   * @throws Error at once when an operation failed.
   */
  settled(instanceId: string, options?: { limitMs?: number; operationCount?: number }): Promise<string>;
  /** What the Service of an instance answers at a path, seen from a pod. */
  page(instanceId: string, path?: string): Promise<Answer>;
};

/** Deploys the fleet for all tests of a `describe`, and takes it away when they are done. */
export function deployedFleet(): () => FleetUnderTest {
  const namespace = testNamespace('acceptance-fleet');
  const stops: (() => Promise<unknown>)[] = [];
  let folder: string | undefined;
  let deployed: FleetUnderTest | undefined;
  beforeAll(async () => {
    const given = inject('cluster');
    if (given.obstacle !== undefined || !given.isOwn) throw new Error('the fleet is deployed on the own cluster only');
    folder = await mkdtemp(join(tmpdir(), 'fleet-cluster-'));
    await chmod(folder, 0o755);
    const say = (line: string) => void process.stderr.write(`fleet: ${line}\n`);
    const cluster = await bringUpCluster({ say });
    const images = await importFunctions(cluster, { folder, say });
    images.set('worker', await importWorker(cluster, { folder, say }));
    const fleet = await deployFleet(cluster, { folder, images, hasBackups: true, settings, say });
    stops.push(() => fleet.stop());
    const mails = await reachableMailServer(cluster, fleet, stops);
    deployed = { ...fleet, cluster, images, folder, mails, ...dealings(fleet, namespace) };
  }, 900_000);
  afterAll(async () => {
    for (const stop of stops.toReversed()) await stop();
    if (folder !== undefined) await removeTree(folder);
  });
  return () => {
    if (deployed === undefined) throw new Error('the fleet is not deployed');
    return deployed;
  };
}

/** A mail server of this process that pods reach as they reach the database servers. */
async function reachableMailServer(
  cluster: RunningCluster,
  { kubectl }: Pick<DeployedFleet, 'kubectl'>,
  stops: (() => Promise<unknown>)[],
): Promise<MailServer> {
  const mails = await openMailServer();
  stops.push(() => mails.close());
  const bridge = await bridgeTo({ host: '127.0.0.1', port: mails.port }, { host: cluster.node.address });
  stops.push(() => bridge.close());
  await cluster.openPorts([bridge.port]);
  const place = { namespace: 'odoo-fleet', address: cluster.node.address, port: 25, targetPort: bridge.port };
  await kubectl.apply(machineService('mail', place));
  return mails;
}

/**
 * Sends an event until the Broker takes it, as publishers do: one whose answer was lost on its way (here by the API server's
 * proxy), or that a busy Broker answers with 5xx, is sent again.
 */
export async function toBroker(
  { fromPod, brokerUrl }: Pick<FleetUnderTest, 'fromPod' | 'brokerUrl'>,
  event: { headers: Record<string, string>; body: string },
): Promise<void> {
  const what = `the Broker to take ${event.headers['ce-type']}`;
  let last: unknown;
  const isTaken = async () => {
    const answer = await fromPod(brokerUrl, { method: 'POST', ...event }).catch((error: unknown) => {
      last = error;
    });
    if (answer === undefined) return false;
    last = new Error(JSON.stringify(answer));
    if (answer.status !== 202 && (answer.status ?? 503) < 500) throw last;
    return answer.status === 202;
  };
  await until(what, isTaken, { limitMs: 60_000 }).catch((error: unknown) => {
    throw new Error(`waited in vain for ${what}: ${String(last)}`, { cause: error });
  });
}

function dealings(fleet: DeployedFleet, namespace: () => TestNamespace) {
  const rows: FleetUnderTest['rows'] = async <Row extends object>(text: string, values: readonly unknown[] = []) =>
    (await fleet.records.query<Row>(text, values)).rows;
  const fromPod: FleetUnderTest['fromPod'] = (url, request) => namespace().fromPod(url, request);
  const operationsOf = (instanceId: string) =>
    rows<Operation>(
      `select id, instance_id, kind, state, step, definition_version, error_code, error_text from operations
       where instance_id = $1 order by created_at, id`,
      [instanceId],
    );

  async function publish({ id, type, source = publisher, data }: PublishedEvent): Promise<void> {
    const attributes = { 'ce-specversion': '1.0', 'ce-id': id, 'ce-type': type, 'ce-source': source };
    const headers = { ...attributes, 'content-type': 'application/json' };
    await toBroker({ fromPod, brokerUrl: fleet.brokerUrl }, { headers, body: JSON.stringify(data) });
  }

  return {
    rows,
    fromPod,
    noted: () => namespace().noted(),
    deskUrl: (path: string) => `http://${desk}.${namespace().name}.svc.cluster.local${path}`,
    publish,
    operationsOf,
    async request(kind: string, instanceId: string, data: Record<string, unknown> = {}) {
      const id = randomUUID();
      await publish({ id, type: `dev.odoofleet.instance.${kind}.requested`, data: { instance: instanceId, ...data } });
      return id;
    },
    async provision(name: string, { customer = 'acme' }: { customer?: string } = {}) {
      const owner = { email: `owner@${name}.example` };
      const data = { customer, name, plan: 'small', owner, idempotencykey: name };
      await publish({ id: randomUUID(), type: 'dev.odoofleet.instance.provision.requested', data });
      return deriveInstanceId(publisher, name);
    },
    async settled(instanceId: string, { limitMs = 120_000, operationCount = 1 } = {}) {
      const isOver = async () => {
        const operations = await operationsOf(instanceId);
        // A request takes a moment from the Broker to its row.
        if (operations.length < operationCount) return undefined;
        const failed = operations.find(({ state }) => state === 'failed');
        if (failed !== undefined) throw new Error(`${failed.kind} failed in ${failed.step}: ${failed.error_text}`);
        if (!operations.every(({ state }) => state === 'succeeded' || state === 'cancelled')) return undefined;
        return (await rows<{ status: string }>('select status from instances where id = $1', [instanceId]))[0]?.status;
      };
      try {
        return await until(`the operations of ${instanceId} to end`, isOver, { limitMs });
      } catch (cause) {
        const stands = (await operationsOf(instanceId)).map((one) => `${one.kind} ${one.state} in ${one.step}`);
        throw new Error(`${(cause as Error).message}; it stands at: ${stands.join(', ')}`, { cause });
      }
    },
    page(instanceId: string, path = '/web/login') {
      return fromPod(`http://odoo-${instanceId}.odoo-tenants.svc.cluster.local:8069${path}`);
    },
  };
}
