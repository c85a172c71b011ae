import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Attempt } from './attempts.ts';
import { type Sink, startSink } from './sink.ts';

const instance = 'abcdefgh2345';
const login = (...parts: string[]) => Buffer.from(parts.join('\0')).toString('base64');
let sink: Sink;
let told: Attempt[];

beforeEach(async () => {
  told = [];
  const ports = { mail: 0, proxy: 0, health: 0 };
  sink = await startSink({ address: '127.0.0.1', ports, tell: (attempt) => told.push(attempt) });
});
afterEach(async () => await sink.stop());

/** Sends lines one after the other, each after the answer to the one before; gives all that was said. */
async function talk(port: number, lines: readonly string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let heard = '';
    const left = [...lines];
    socket.on('data', (data) => {
      heard += data.toString();
      const next = left.shift();
      if (next !== undefined) socket.write(`${next}\r\n`);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(heard));
    socket.on('error', reject);
  });
}

describe('the sink takes a mail and tells of it, without whom it is for', () => {
  const message = ['MAIL FROM:<a@b.example>', 'RCPT TO:<secret@c.example>', 'RCPT TO:<d@e.example>', 'DATA'];
  const text = 'Subject: hello\r\n\r\n250 RCPT\r\n..\r\n.';

  test('from a copy that says who it is', async () => {
    const lines = ['EHLO odoo', `AUTH PLAIN ${login('', instance, 'staging')}`, ...message, text, 'QUIT'];
    expect(await talk(sink.ports.mail, lines)).toContain('221');
    expect(told).toEqual([{ at: expect.any(String), way: 'mail', instance, to: '2 recipients' }]);
    expect(JSON.stringify(told)).not.toContain('c.example');
  });

  test('and from one that does not', async () => {
    await talk(sink.ports.mail, ['HELO x', ...message, text, 'NONSENSE', 'QUIT']);
    expect(told).toMatchObject([{ instance: null, to: '2 recipients' }]);
  });
});

describe('the sink refuses a request and tells which host it was for, not which page', () => {
  const authorization = `Proxy-Authorization: Basic ${Buffer.from(`${instance}:staging`).toString('base64')}`;

  test('in the clear', async () => {
    const socket = connect(sink.ports.proxy, '127.0.0.1');
    socket.write(`POST http://hooks.example/token-1234 HTTP/1.1\r\nHost: hooks.example\r\n${authorization}\r\n\r\n`);
    const heard = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    expect(heard).toMatch(/^HTTP\/1.1 403/);
    expect(told).toMatchObject([{ way: 'http', instance, to: 'hooks.example' }]);
  });

  test('and by a tunnel', async () => {
    const socket = connect(sink.ports.proxy, '127.0.0.1');
    socket.write(`CONNECT api.stripe.com:443 HTTP/1.1\r\nHost: api.stripe.com:443\r\n\r\n`);
    const heard = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    expect(heard).toMatch(/^HTTP\/1.1 403/);
    expect(told).toMatchObject([{ way: 'http', instance: null, to: 'api.stripe.com:443' }]);
  });
});

test('what was counted can be asked', async () => {
  sink.attempts.record({ way: 'http', instance, to: 'a.example' });
  const ask = async (path: string) => await (await fetch(`http://127.0.0.1:${sink.ports.health}${path}`)).text();
  expect(await ask('/metrics')).toContain('fleet_outbound_attempts_total{way="http"} 1');
  expect(JSON.parse(await ask('/attempts'))).toMatchObject([{ to: 'a.example' }]);
  expect(await ask('/healthz')).toBe('ok\n');
});
