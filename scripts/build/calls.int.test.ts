import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ColdEvent, freshEvents } from '#scripts/bench/cold/events.ts';
import { type KubernetesApi, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { openKubernetesClient } from '#shared/sandbox/kubernetes-client.ts';
import { secrets } from '#shared/sandbox/kubernetes-node/objects.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { startWebSocketRelay } from '#shared/testing/websocket-relay.ts';
import { buildFunctions } from './build.ts';
import { bundleProgram } from './bundle.ts';

// A bundle has only parts of some libraries, and others in files beside it. That it starts says nothing of its calls: those
// are made here, by built functions, to real servers.

const made = databaseOfThisFile();
const database = platformOfThisFile(made);
let processes: ProcessGroup;
let folder: string;
let broker: Sink;
let cluster: KubernetesApi;

type Received = { method: string | undefined; url: string | undefined; headers: IncomingHttpHeaders; body: string };
type Sink = { url: string; received: Received[]; server: Server };

/** Takes whatever it is sent. */
async function startSink(): Promise<Sink> {
  const received: Received[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method, url, headers } = incoming;
      received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, server };
}

beforeAll(async () => {
  processes = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'fleet-calls-'));
  await chmod(folder, 0o755);
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await mkdir(join(folder, 'cluster'));
  [broker, cluster] = await Promise.all([startSink(), startKubernetesApi({ folder: join(folder, 'cluster') })]);
  await insertCatalogue(database());
  await insertServer(database(), { id: 'db-1', maxInstances: 1_000 });
  // what follows the cluster's part is not of interest: it is refused at once
  await database().query(`update db_servers set host = '127.0.0.1', port = 9`);
  await buildFunctions(['billing', 'provision'], { outFolder: folder, isPrimed: false });
});
afterAll(async () => {
  await processes.stopAll();
  broker.server.closeAllConnections();
  broker.server.close();
  await cluster.stop();
  await rm(folder, { recursive: true });
});

/** Starts a built function with what every one needs, and sends it an event. */
async function startAndSend(
  name: 'billing' | 'provision',
  event: ColdEvent,
  env: Record<string, string> = {},
): Promise<{ status: number; log: string }> {
  const port = await freePort();
  const logFile = join(folder, `${name}-${port}.log`);
  const { database: databaseName, user, pooled } = made();
  const settings = {
    PATH: '/usr/bin:/bin',
    PORT: String(port),
    PLATFORM_POSTGRES_HOST: pooled.host,
    PLATFORM_POSTGRES_PORT: String(pooled.port),
    PLATFORM_POSTGRES_DB: databaseName,
    PLATFORM_POSTGRES_USER: user,
    PLATFORM_POSTGRES_PASSWORD_FILE: join(folder, 'password'),
    ODOO_POSTGRES_PASSWORDS_DIR: folder,
    // as Knative names it
    K_SINK: `${broker.url}/odoo-fleet/fleet`,
    SOURCES_POLICY: 'open',
  };
  const args = [join(folder, name, 'main.js')];
  await processes.start({ name, command: process.execPath, args, cwd: '/', env: { ...settings, ...env }, logFile });
  const post = async () => {
    const { statusCode, body } = await request(`http://127.0.0.1:${port}/`, { method: 'POST', ...event });
    await body.dump();
    return statusCode;
  };
  let status = 0;
  const isTaken = async () => {
    status = await post().catch(() => 0);
    return status;
  };
  await expect.poll(isTaken, { timeout: 20_000 }).not.toBe(0);
  return { status, log: await readFile(logFile, 'utf8') };
}

/** A paid subscription whose instance is asked for in an event of ours; what the broker was sent of it. */
async function sendSubscription(env: Record<string, string> = {}) {
  const name = `n-${randomUUID().slice(-12)}`;
  const { headers, body } = freshEvents.billing();
  // one trial per customer: the second is not provided for
  const data = {
    ...JSON.parse(body),
    phase: 'evergreen',
    paid: true,
    configuration: { name, owner: { email: 'owner@acme.example' } },
  };
  const answer = await startAndSend('billing', { headers, body: JSON.stringify(data) }, env);
  return { ...answer, published: broker.received.filter((one) => one.body.includes(name)) };
}

const publishedRequest = {
  method: 'POST',
  url: '/odoo-fleet/fleet',
  headers: expect.objectContaining({ 'ce-type': 'dev.odoofleet.instance.provision.requested' }) as unknown,
};

it('takes an event and publishes the one that follows from it to the broker', async () => {
  const { status, log, published } = await sendSubscription();
  expect({ status, published }, log).toMatchObject({ status: 204, published: [publishedRequest] });
});

it('does so with the driver of Neon', async () => {
  const relay = await startWebSocketRelay(made().pooled);
  const driver = { DATABASE_DRIVER: 'neon', NEON_WEBSOCKET_URL: relay.url };
  const { status, log, published } = await sendSubscription(driver);
  expect({ status, published }, log).toMatchObject({ status: 204, published: [publishedRequest] });
  await processes.stopAll();
  processes = await openProcessGroup();
  await relay.close();
});

it('sends its spans to a collector', async () => {
  const collector = await startSink();
  const { status, log } = await sendSubscription({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_TIMEOUT: '10000',
  });
  collector.server.close();
  expect(status, log).toBe(204);
  expect(collector.received, log).toMatchObject([{ method: 'POST', url: '/v1/traces' }]);
  expect(collector.received[0]?.body).toContain('dev.odoofleet.instance.provision.requested');
});

it('makes objects in the cluster that a kubeconfig names, over TLS', async () => {
  const { status, log } = await startAndSend('provision', freshEvents.provision(), {
    KUBECONFIG: cluster.kubeconfigFile,
  });
  expect(status, log).toBe(204);
  const client = await openKubernetesClient(cluster.kubeconfigFile);
  const { items } = await client.list(secrets, 'odoo-tenants');
  await client.close();
  expect(items, log).toHaveLength(1);
});

it('makes requests by an agent, as to instances and to functions that are sent an event again', async () => {
  const program = join(folder, 'agent');
  const contents = `import { Agent } from 'undici';
    const agent = new Agent({ connectTimeout: 1_000 });
    const { statusCode, body } = await agent.request({ origin: '${broker.url}', path: '/agent', method: 'POST', body: 'x' });
    await body.dump();
    await agent.close();
    process.exitCode = statusCode === 202 ? 0 : 1;`;
  await bundleProgram({ contents, isProgram: false }, program);
  const code = `(0, eval)(require('node:fs').readFileSync(${JSON.stringify(join(program, 'function.js'))}, 'utf8'))()`;
  const logFile = join(program, 'log');
  const args = ['--eval', code];
  const running = await processes.start({ name: 'agent', command: process.execPath, args, env: {}, logFile });
  expect(await running.exited, await readFile(logFile, 'utf8')).toEqual({ code: 0, signal: null });
  expect(broker.received.filter(({ url }) => url === '/agent')).toMatchObject([{ method: 'POST', body: 'x' }]);
});

it('sends messages to customers, and judges addresses where it connects', async () => {
  const program = join(folder, 'webhook-sender');
  const contents = `import { openWebhookSender } from '#shared/adapters/webhook/send.ts';
    const message = { headers: {}, body: 'x' };
    const anywhere = openWebhookSender({ policy: 'any' });
    const sent = await anywhere.send({ ...message, url: '${broker.url}/customer' });
    await anywhere.end();
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
    const outside = openWebhookSender({ policy: 'public', resolve });
    const refused = await outside.send({ ...message, url: 'https://hooks.example.com/customer' });
    await outside.end();
    process.exitCode = sent.status === 202 && /not of the internet/.test(refused.error) ? 0 : 1;
    if (process.exitCode === 1) console.log(sent, refused);`;
  await bundleProgram({ contents, isProgram: false }, program);
  const code = `(0, eval)(require('node:fs').readFileSync(${JSON.stringify(join(program, 'function.js'))}, 'utf8'))()`;
  const logFile = join(program, 'log');
  const args = ['--eval', code];
  const running = await processes.start({ name: 'webhook', command: process.execPath, args, env: {}, logFile });
  expect(await running.exited, await readFile(logFile, 'utf8')).toEqual({ code: 0, signal: null });
  expect(broker.received.filter(({ url }) => url === '/customer')).toMatchObject([{ method: 'POST', body: 'x' }]);
});
