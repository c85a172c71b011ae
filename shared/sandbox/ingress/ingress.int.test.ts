import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  container,
  deployment,
  namespace,
  startTestCluster,
  type TestCluster,
  until,
} from '../kubernetes-node/cluster.fixture.ts';
import { deployments } from '../kubernetes-node/objects.ts';
import { startIngressProxy, startServiceProxy } from './ingress.ts';
import { ingresses, services } from './objects.ts';
import type { ReverseProxy } from './reverse-proxy.ts';

let cluster: TestCluster;
let ingress: ReverseProxy;
let service: ReverseProxy;

beforeAll(async () => {
  cluster = await startTestCluster();
  const { kubeconfigFile } = cluster;
  ingress = await startIngressProxy({ kubeconfigFile, namespace });
  service = await startServiceProxy({ kubeconfigFile, namespace });
  const readinessProbe = { httpGet: { port: 8080, path: '/healthz' }, periodSeconds: 1 };
  await cluster.client.create(deployments, namespace, deployment('shop', container({ readinessProbe })));
  await cluster.client.create(services, namespace, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop' },
    spec: { selector: { app: 'shop' }, ports: [{ name: 'http', port: 8069, targetPort: 8080 }] },
  });
  await cluster.client.create(services, namespace, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'closed' },
    spec: { selector: { app: 'shop' }, ports: [{ port: 80, targetPort: 9 }] },
  });
  await exposed('shop', 'http');
  await exposed('closed', undefined);
  await exposed('nobody', 'http');
  // each proxy hears of the objects by itself
  const shop = `shop.${namespace}.svc.cluster.local:8069`;
  await until('the shop to answer', async () => (await ask(ingress, 'shop.localhost')).status === 200);
  await until('its Service to answer', async () => (await ask(service, shop)).status === 200);
  await until('the closed one to be known', async () => (await ask(ingress, 'closed.localhost')).status === 502);
  await until('the empty one to be known', async () => (await ask(ingress, 'nobody.localhost')).status === 503);
});
afterAll(async () => {
  await ingress.stop();
  await service.stop();
  await cluster.stop();
});

async function exposed(name: string, port: string | undefined): Promise<void> {
  const backend = { service: { name, port: port === undefined ? { number: 80 } : { name: port } } };
  await cluster.client.create(ingresses, namespace, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name },
    spec: { rules: [{ host: `${name}.localhost`, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }] },
  });
}

type Answer = { status: number | undefined; headers: IncomingMessage['headers']; text: string };

function ask(
  proxy: ReverseProxy,
  host: string,
  { path = '/', headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: proxy.port, path, headers: { ...headers, host }, agent: false });
    asked.on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    asked.end();
  });
}

type Seen = { headers: Record<string, string>; path: string };
const seen = ({ text }: Answer) => JSON.parse(text) as Seen;

test('a request reaches the pod with its Host, whatever port it names, and without what the client claims about itself', async () => {
  const answer = await ask(ingress, 'shop.localhost:12345', {
    path: '/web?x=1',
    headers: { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'https' },
  });
  expect(answer.status).toBe(200);
  expect(seen(answer)).toMatchObject({
    path: '/web?x=1',
    headers: {
      host: 'shop.localhost:12345',
      'x-forwarded-host': 'shop.localhost:12345',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    },
  });
});

test('an unknown host gets 404, a Service without pods 503 with Retry-After, a closed port 502', async () => {
  expect(await ask(ingress, 'other.localhost')).toMatchObject({ status: 404, text: expect.stringContaining('other') });
  const unready = await ask(ingress, 'nobody.localhost');
  expect(unready).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
  expect(await ask(ingress, 'closed.localhost')).toMatchObject({ status: 502 });
});

test('a WebSocket passes in both directions', async () => {
  const socket = connect(ingress.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.write('GET /websocket HTTP/1.1\r\nHost: shop.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await until('the switch', async () => text.includes('for 127.0.0.1'));
  expect(text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  socket.write('hello there');
  await until('the echo', async () => text.endsWith('hello there'));
  socket.destroy();
});

test('a Service is reached by its cluster name and port, its headers untouched', async () => {
  const host = `shop.${namespace}.svc.cluster.local:8069`;
  const answer = await ask(service, host, { headers: { 'x-forwarded-host': 'shop.example.com' } });
  expect(seen(answer).headers).toMatchObject({ host, 'x-forwarded-host': 'shop.example.com' });
  expect(seen(answer).headers['x-forwarded-for']).toBeUndefined();
  expect((await ask(service, `shop.${namespace}.svc.cluster.local`)).status).toBe(503);
  expect((await ask(service, 'shop.elsewhere.svc.cluster.local:8069')).status).toBe(404);
});

test('a Service is also reached by CONNECT and by the absolute form, with any Host inside', async () => {
  const name = `shop.${namespace}.svc.cluster.local:8069`;
  const absolute = await ask(service, 'tenant.example.com', { path: `http://${name}/a` });
  expect(seen(absolute)).toMatchObject({ path: '/a', headers: { host: 'tenant.example.com' } });

  const text = await new Promise<string>((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: service.port, method: 'CONNECT', path: name, agent: false });
    asked.on('error', reject);
    asked.on('connect', (_response, socket) => {
      let answer = '';
      socket.on('data', (chunk) => (answer += String(chunk)));
      socket.on('end', () => resolve(answer));
      socket.write('GET /b HTTP/1.1\r\nHost: tenant.example.com\r\nConnection: close\r\n\r\n');
    });
    asked.end();
  });
  expect(text).toContain('"host":"tenant.example.com"');
});

test('a deleted Deployment is no longer sent to', async () => {
  await cluster.client.delete(deployments, { namespace, name: 'shop' });
  await until('503', async () => (await ask(ingress, 'shop.localhost')).status === 503);
});
