import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { authenticate } from './authenticate.ts';
import { openTenantHttp } from './tenant-http.ts';

const instance = { id: 'abcdefgh2345', host: 'shop.example.com' } as Instance;

let server: Server;
let port: number;
let connections = 0;
let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;

beforeAll(async () => {
  server = createServer((request, response) => {
    const read = async () => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      answer(request, response, body);
    };
    void read();
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('the login page', () => {
  const http = () => openTenantHttp({ namespace: 'odoo-tenants', connectTo: `127.0.0.1:${port}` });

  it('is asked for by the Service’s name, with the public host as a proxy passes it on', async () => {
    let seen: IncomingMessage | undefined;
    answer = (request, response) => {
      seen = request;
      response.end('<form>');
    };
    const tenants = http();
    expect(await tenants.loginPageAnswers(instance)).toEqual({ answers: true, reason: '' });
    expect(seen?.url).toBe('/web/login');
    expect(seen?.headers).toMatchObject({
      host: 'odoo-abcdefgh2345.odoo-tenants.svc.cluster.local:8069',
      'x-forwarded-host': 'shop.example.com',
      'x-forwarded-proto': 'https',
    });
    await tenants.close();
  });

  it('is asked for again over kept connections', async () => {
    answer = (_request, response) => response.end('<form>');
    const tenants = http();
    const before = connections;
    for (let count = 0; count < 10; count += 1) await tenants.loginPageAnswers(instance);
    expect(connections - before).toBeLessThanOrEqual(2);
    await tenants.close();
  });

  it.each([
    [500, {}, 'it answers 500'],
    [503, {}, 'it answers 503'],
    [303, { location: 'http://x/web/database/selector' }, 'Odoo does not find its database'],
    [302, { location: '/web/setup?a=b' }, 'it redirects to /web/setup'],
  ])('does not count with %i', async (status, headers, reason) => {
    answer = (_request, response) => response.writeHead(status, headers).end();
    const tenants = http();
    expect(await tenants.loginPageAnswers(instance)).toEqual({ answers: false, reason });
    await tenants.close();
  });

  it('that nobody serves is a reason, not an error', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const free = (closed.address() as AddressInfo).port;
    closed.close();
    const tenants = openTenantHttp({ namespace: 'n', connectTo: `127.0.0.1:${free}` });
    expect(await tenants.loginPageAnswers(instance)).toEqual({ answers: false, reason: 'no answer (ECONNREFUSED)' });
    await tenants.close();
  });
});

describe('a login over JSON-RPC', () => {
  const login = { login: 'admin', password: 'correct horse', database: 'odoo_a' };
  const tryLogin = () => authenticate(`http://shop.localhost:${port}`, login);
  const reply = (body: unknown, status = 200) => {
    answer = (_request, response) =>
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  };

  it('gives the user’s id when Odoo accepts it', async () => {
    let asked = '';
    answer = (_request, response, body) => {
      asked = body;
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: 2 }));
    };
    expect(await tryLogin()).toBe(2);
    expect(JSON.parse(asked)).toMatchObject({
      params: { service: 'common', method: 'authenticate', args: ['odoo_a', 'admin', 'correct horse', {}] },
    });
  });

  it('gives false when Odoo does not, in either of its words', async () => {
    reply({ result: false });
    expect(await tryLogin()).toBe(false);
    reply({ error: { code: 0, data: { name: 'odoo.exceptions.AccessDenied' } } });
    expect(await tryLogin()).toBe(false);
  });

  it.each([
    [{ error: { data: { name: 'psycopg2.OperationalError', debug: 'correct horse' } } }, 200, 'unavailable'],
    ['bad gateway', 502, 'unavailable'],
    ['<html>', 200, 'misconfigured'],
    ['not found', 404, 'misconfigured'],
    [{ id: 1 }, 200, 'misconfigured'],
  ])('fails without the password in the text for %j', async (body, status, code) => {
    reply(body, status);
    const failure = await tryLogin().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect(String(failure)).not.toContain('correct horse');
  });
});
