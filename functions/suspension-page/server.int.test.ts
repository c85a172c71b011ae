import { once } from 'node:events';
import { request as openRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SuspensionPage, startSuspensionPage } from './server.ts';

let page: SuspensionPage;

beforeAll(async () => {
  page = await startSuspensionPage({ address: '127.0.0.1', ports: { billing: 0, abuse: 0, health: 0 } });
});

afterAll(() => page.stop());

const url = (port: number, path = '/') => `http://127.0.0.1:${port}${path}`;

describe('the suspension page', () => {
  it('answers every method and every path by the port alone', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const sent = method === 'GET' ? {} : { body: 'x'.repeat(100_000) };
      const answer = await fetch(url(page.ports.billing, '/web/dataset/call_kw?db=other'), { method, ...sent });
      expect([method, answer.status]).toEqual([method, 402]);
      expect(await answer.text()).toContain('This Odoo is paused');
    }
    const abuse = await fetch(url(page.ports.abuse));
    expect(abuse.status).toBe(403);
    expect(await abuse.text()).toContain('has been closed');
  });

  it('answers HEAD with the same headers and no body', async () => {
    const [head, get] = await Promise.all(
      ['HEAD', 'GET'].map((method) => fetch(url(page.ports.billing), { method, headers: { accept: 'text/html' } })),
    );
    expect(head?.status).toBe(402);
    expect(head?.headers.get('content-length')).toBe(get?.headers.get('content-length'));
    expect(await head?.text()).toBe('');
    await get?.text();
  });

  it('refuses a websocket as it refuses a page', async () => {
    const request = openRequest(url(page.ports.abuse, '/websocket'), {
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'x' },
    });
    request.end();
    const [response] = await once(request, 'response');
    expect(response.statusCode).toBe(403);
    response.resume();
    await once(response, 'end');
  });

  it('is healthy on a port of its own', async () => {
    const answer = await fetch(url(page.ports.health, '/healthz'));
    expect(answer.status).toBe(200);
    await answer.text();
  });
});

it('ends when it is told to, though a client keeps its connection', async () => {
  const other = await startSuspensionPage({ address: '127.0.0.1', ports: { billing: 0, abuse: 0, health: 0 } });
  await (await fetch(url(other.ports.billing))).text();
  await other.stop();
  await expect(fetch(url(other.ports.billing))).rejects.toThrow();
});
