import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ensureIdentity, type Identity } from '#shared/sandbox/kubernetes/certificates.ts';
import { openReceiver, type Receiver } from './receiver.fixture.ts';
import { openWebhookSender, type WebhookSender, type WebhookSenderOptions } from './send.ts';

let receiver: Receiver;
const senders: WebhookSender[] = [];

const open = (options: Partial<WebhookSenderOptions> = {}) => {
  const sender = openWebhookSender({ policy: 'any', ...options });
  senders.push(sender);
  return sender;
};
const message = (url: string) => ({ url, headers: { 'webhook-id': '1' }, body: '{"a":1}' });
const here = (path = '/hook?key=1') => message(`http://127.0.0.1:${receiver.port}${path}`);

beforeEach(async () => {
  receiver = await openReceiver();
});
afterEach(async () => {
  for (const sender of senders.splice(0)) await sender.end();
  await receiver.close();
});

describe('a receiver', () => {
  test('gets the text as it was signed, over connections that are kept', async () => {
    const sender = open();
    for (let n = 0; n < 20; n += 1) expect(await sender.send(here())).toEqual({ status: 204, error: null });
    expect(receiver.received[0]).toMatchObject({
      url: '/hook?key=1',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json', 'webhook-id': '1' },
    });
    // a connection may be taken for busy a moment longer than its answer
    expect(receiver.connections()).toBeLessThanOrEqual(2);
  });

  test('may ask for a pause', async () => {
    receiver.answer = (_request, response) => void response.writeHead(429, { 'retry-after': '120' }).end();
    expect(await open().send(here())).toEqual({ status: 429, error: 'answered 429', retryAfterMs: 120_000 });
  });

  test('is not followed when it sends elsewhere', async () => {
    const elsewhere = await openReceiver();
    receiver.answer = (_request, response) =>
      void response.writeHead(307, { location: `http://127.0.0.1:${elsewhere.port}/` }).end();
    expect(await open().send(here())).toMatchObject({ status: 307, error: expect.stringContaining('redirects') });
    expect(elsewhere.received).toEqual([]);
    await elsewhere.close();
  });

  test('that does not answer is cut by the deadline', async () => {
    receiver.answer = () => undefined;
    expect(await open({ timeoutMs: 200 }).send(here())).toEqual({ status: null, error: 'no answer within 0.2 s' });
  });

  test('that sends its headers byte by byte is cut by the deadline', async () => {
    const timers: NodeJS.Timeout[] = [];
    receiver.answer = (_request, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\nx-slow: ');
      timers.push(setInterval(() => response.socket?.write('a'), 20));
    };
    expect(await open({ timeoutMs: 300 }).send(here())).toMatchObject({ status: null });
    for (const timer of timers) clearInterval(timer);
  });

  test('has taken what it answered 200 to, however its answer goes on', async () => {
    const timers: NodeJS.Timeout[] = [];
    receiver.answer = (_request, response) => {
      response.writeHead(200);
      timers.push(setInterval(() => response.write('a'), 20));
    };
    expect(await open({ timeoutMs: 1_500 }).send(here())).toEqual({ status: 200, error: null });
    for (const timer of timers) clearInterval(timer);
  });

  test('whose answer is endless is not read on', async () => {
    let written = 0;
    receiver.answer = (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('a'.repeat(64 * 1024))) written += 64 * 1024;
      };
      response.on('drain', more).writeHead(200);
      more();
    };
    expect(await open().send(here())).toEqual({ status: 200, error: null });
    expect(written).toBeLessThan(50_000_000);
  });

  test('that is not there is told apart, without its address', async () => {
    const { port } = receiver;
    await receiver.close();
    const result = await open().send(message(`http://127.0.0.1:${port}/`));
    expect(result).toEqual({ status: null, error: 'not sent (ECONNREFUSED)' });
    receiver = await openReceiver();
  });
});

describe('to the internet only', () => {
  let identity: Identity;
  let folder: string;
  let tls: Receiver;
  const before = getCACertificates();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'webhook-'));
    identity = await ensureIdentity(folder);
    setDefaultCACertificates([...before, identity.caCertificate]);
    tls = await openReceiver({ key: identity.key, cert: identity.certificate });
  });
  afterAll(async () => {
    setDefaultCACertificates(before);
    await tls.close();
    await rm(folder, { recursive: true });
  });
  const url = () => message(`https://kubernetes.default.svc:${tls.port}/`);
  const at = (...addresses: string[]) => ({
    policy: 'public' as const,
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  });
  const refused = { status: null, error: expect.stringContaining('not of the internet') };

  test('is sent what its name leads to, by its certificate', async () => {
    const sender = open({ ...at('127.0.0.1'), allows: (address) => address === '127.0.0.1' });
    expect(await sender.send(url())).toEqual({ status: 204, error: null });
    const other = message(`https://hooks.example.com:${tls.port}/`);
    expect(await sender.send(other)).toMatchObject({ status: null, error: expect.stringContaining('ALTNAME') });
  });

  test.each(['127.0.0.1', '10.0.0.1', '169.254.169.254', '100.64.0.1', '::1', '::ffff:127.0.0.1', 'fd00:ec2::254'])(
    'a name that leads to %s is refused before anything is connected',
    async (address) => {
      const count = tls.connections();
      expect(await open(at(address)).send(url())).toEqual(refused);
      expect(await open(at('8.8.8.8', address)).send(url())).toEqual(refused);
      expect(tls.connections()).toBe(count);
    },
  );

  test('a name that led to the internet and leads here now is refused', async () => {
    const answers = ['8.8.8.8', '127.0.0.1'];
    const resolve = async () => [{ address: answers.shift() ?? '127.0.0.1', family: 4 }];
    // the check at saving time saw the first answer
    await resolve();
    const count = tls.connections();
    expect(await open({ policy: 'public', resolve }).send(url())).toEqual(refused);
    expect(tls.connections()).toBe(count);
  });

  test.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1'])(
    'the address %s needs no name server and is refused, too',
    async (host) => {
      const count = tls.connections();
      expect(await open(at('8.8.8.8')).send(message(`https://${host}:${tls.port}/`))).toEqual(refused);
      expect(tls.connections()).toBe(count);
    },
  );

  test('an address that is reached is looked at once more', async () => {
    let asked = 0;
    const allows = () => {
      asked += 1;
      return asked < 2;
    };
    expect(await open({ ...at('127.0.0.1'), allows }).send(url())).toEqual(refused);
    expect(tls.received).toHaveLength(1);
  });

  test('nothing is sent without TLS', async () => {
    expect(await open(at('8.8.8.8')).send(here())).toMatchObject({ error: 'not sent: it is not reached by https' });
    expect(receiver.connections()).toBe(0);
  });

  test('a name that nobody knows is no address', async () => {
    const resolve = () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }));
    expect(await open({ policy: 'public', resolve }).send(url())).toEqual({
      status: null,
      error: 'not sent (ENOTFOUND)',
    });
  });
});
