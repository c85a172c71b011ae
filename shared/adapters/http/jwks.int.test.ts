import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JSONWebKeySet, jwtVerify, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Jwks, openJwks } from './jwks.ts';

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

let server: Server;
let url: string;
let requests: number;
let published: Record<string, Pair>;
let answer: (response: ServerResponse) => void;
let world: { nowMs: number };
let opened: Jwks[];

const setOf = async (): Promise<JSONWebKeySet> => ({
  keys: await Promise.all(
    Object.entries(published).map(async ([kid, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid })),
  ),
});
const giveSet = (response: ServerResponse) => {
  void setOf().then((set) => response.setHeader('content-type', 'application/json').end(JSON.stringify(set)));
};

beforeEach(async () => {
  [requests, published, answer, world, opened] = [0, { k1: await pair() }, giveSet, { nowMs: 0 }, []];
  server = createServer((_request, response) => {
    requests += 1;
    answer(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys?of=fleet`;
});
afterEach(async () => {
  await Promise.all(opened.map((jwks) => jwks.end()));
  server.closeAllConnections();
  server.close();
});

const pair = () => generateKeyPair('ES256', { extractable: true });
const open = ({ timeoutMs = 30_000 } = {}) => {
  const jwks = openJwks({ url, timeoutMs, nowMs: () => world.nowMs });
  opened.push(jwks);
  return jwks;
};

async function verify(jwks: Jwks, kid: string, key: Pair | undefined = published[kid]): Promise<string | undefined> {
  const signer = key ?? (await pair());
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid }).setSubject('u').sign(signer.privateKey);
  return (await jwtVerify(token, jwks.key)).payload.sub;
}

test('the keys are read once, also when many ask at once', async () => {
  const jwks = open();
  await Promise.all(Array.from({ length: 20 }, () => verify(jwks, 'k1')));
  expect(requests).toBe(1);
});

test('a key that was published meanwhile is found, after the cool-down', async () => {
  const jwks = open();
  await verify(jwks, 'k1');
  published = { ...published, k2: await pair() };
  await expect(verify(jwks, 'k2')).rejects.toThrow('no applicable key found');
  world.nowMs = 30_000;
  expect(await verify(jwks, 'k2')).toBe('u');
  expect(requests).toBe(2);
});

test('tokens with made-up keys do not become requests to the issuer', async () => {
  const jwks = open();
  await verify(jwks, 'k1');
  for (let count = 0; count < 50; count += 1) await verify(jwks, `made-up-${count}`).catch(() => undefined);
  expect(requests).toBe(1);
  world.nowMs = 30_000;
  for (let count = 0; count < 50; count += 1) await verify(jwks, `made-up-${count}`).catch(() => undefined);
  expect(requests).toBe(2);
});

test('a withdrawn key counts for ten minutes at most', async () => {
  const jwks = open();
  await verify(jwks, 'k1');
  const withdrawn = published['k1'];
  published = { k2: await pair() };
  world.nowMs = 599_999;
  expect(await verify(jwks, 'k1', withdrawn)).toBe('u');
  world.nowMs = 600_000;
  await expect(verify(jwks, 'k1', withdrawn)).rejects.toThrow('no applicable key found');
});

const faults: [string, (response: ServerResponse) => void][] = [
  ['refuses', (response) => response.writeHead(500).end()],
  ['hangs up', (response) => response.destroy()],
  ['does not answer', () => undefined],
  ['redirects', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
  ['answers with garbage', (response) => response.end('<html>')],
  ['answers with something else', (response) => response.end('{"keys":1}')],
  ['answers without end', (response) => response.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`)],
];

test.each(faults)(
  'an issuer that %s is asked once in the cool-down, and its old keys go on counting',
  async (_how, fault) => {
    const jwks = open({ timeoutMs: 2_000 });
    await verify(jwks, 'k1');
    answer = fault;
    world.nowMs = 700_000;
    expect(await verify(jwks, 'k1')).toBe('u');
    expect(await verify(jwks, 'k1')).toBe('u');
    expect(requests).toBe(2);
  },
);

test.each(faults)('without any keys, because the issuer %s, nobody is refused for good', async (_how, fault) => {
  answer = fault;
  const jwks = open({ timeoutMs: 2_000 });
  await expect(verify(jwks, 'k1')).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
  await expect(verify(jwks, 'k1')).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
  expect(requests).toBe(1);
  answer = giveSet;
  world.nowMs = 30_000;
  expect(await verify(jwks, 'k1')).toBe('u');
});

test('keys that could not be read anew for a day count no longer', async () => {
  const jwks = open();
  await verify(jwks, 'k1');
  answer = (response) => response.writeHead(500).end();
  world.nowMs = 86_400_000;
  await expect(verify(jwks, 'k1')).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
});
