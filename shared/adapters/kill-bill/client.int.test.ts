import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type KillBillStandIn, killBillAccess, startKillBill } from '#shared/sandbox/kill-bill/server.ts';
import { openKillBill } from './client.ts';

let standIn: KillBillStandIn;
let account: string;
const opened: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  standIn = await startKillBill();
  account = standIn.desk.account('c-7');
  const subscription = standIn.desk.subscribe(account);
  standIn.desk.addFields(subscription, { instance_name: 'acme' });
  standIn.desk.pay(standIn.desk.invoice([subscription]));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await standIn.stop();
});

function open(change: Partial<Parameters<typeof openKillBill>[0]> = {}) {
  const client = openKillBill({ url: standIn.url, ...killBillAccess, ...change });
  opened.push(client);
  return client;
}
const asked = (path: string) => standIn.state.requests.filter((one) => one.endsWith(path)).length;

describe('reading an account from Kill Bill', () => {
  it('gives it with all that belongs to it', async () => {
    expect(await open().read(account)).toMatchObject({
      id: account,
      externalKey: 'c-7',
      subscriptions: [{ planName: 'small', phaseType: 'TRIAL', state: 'ACTIVE' }],
      fields: [{ name: 'instance_name', value: 'acme' }],
      invoices: [{ balance: 0, status: 'COMMITTED' }],
      payments: [{ transactions: [{ outcome: 'paid' }] }],
    });
  });

  it('gives undefined where there is none', async () => {
    expect(await open().read('00000000-0000-4000-8000-000000000000')).toBeUndefined();
  });

  it('does not take the 404 of a proxy for an answer of Kill Bill', async () => {
    standIn.state.before = (_path, response) => {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html>default backend</html>');
      return true;
    };
    await expect(open().read(account)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('takes a list that is not there for no empty one', async () => {
    standIn.state.before = (path, response) => {
      if (!path.endsWith('/invoices')) return false;
      response.writeHead(404).end('{"className":"x","message":"none"}');
      return true;
    };
    await expect(open().read(account)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('keeps its connections', async () => {
    let connections = 0;
    const server = await listening((request, response) => {
      response.end(
        request.url?.includes('/bundles') || !request.url?.endsWith(account) ? '[]' : `{"accountId":"${account}"}`,
      );
    });
    server.on('connection', () => (connections += 1));
    const client = open({ url: urlOf(server) });
    await client.read(account);
    const first = connections;
    for (let round = 0; round < 20; round += 1) await client.read(account);
    expect(connections).toBe(first);
    await end(server);
  });

  it('refuses invoices without items, whose balances say nothing', async () => {
    standIn.state.before = (path, response) => {
      if (!path.endsWith('/invoices')) return false;
      const shallow = [...standIn.records.invoices.values()].map((one) => ({ ...one, balance: 0, items: [] }));
      response.end(JSON.stringify(shallow));
      return true;
    };
    await expect(open().read(account)).rejects.toMatchObject({ code: 'damaged' });
  });

  it.each([
    ['no JSON', '<html>', 'damaged'],
    ['something else', '[{"bundleId":1}]', 'damaged'],
  ])('refuses %s', async (_, body, code) => {
    standIn.state.before = (path, response) => {
      if (!path.endsWith('/bundles')) return false;
      response.end(body);
      return true;
    };
    await expect(open().read(account)).rejects.toMatchObject({ code });
    expect(asked('/bundles')).toBe(1);
  });

  it.each([
    [401, 'misconfigured'],
    [403, 'misconfigured'],
    [429, 'unavailable'],
    [500, 'unavailable'],
    [503, 'unavailable'],
  ])('is not tried again when Kill Bill answers %i', async (status, code) => {
    standIn.state.before = (_, response) => {
      response.writeHead(status).end('{}');
      return true;
    };
    await expect(open().read(account)).rejects.toMatchObject({ code });
    expect(standIn.state.requests).toHaveLength(1);
  });

  it('names neither its password nor its secrets in a failure', async () => {
    await standIn.goDown();
    const failure = await open()
      .read(account)
      .catch((caught: unknown) => caught);
    const text = JSON.stringify(failure, Object.getOwnPropertyNames(failure)) + String(failure);
    for (const secret of [killBillAccess.password, killBillAccess.apiSecret]) expect(text).not.toContain(secret);
    expect(failure).toMatchObject({ code: 'unavailable' });
    await standIn.comeBack();
  });

  it('is tried again when the connection breaks before an answer', async () => {
    let broken = 0;
    standIn.state.before = (path, response) => {
      if (!path.endsWith('/bundles') || broken === 2) return false;
      broken += 1;
      response.destroy();
      return true;
    };
    expect(await open().read(account)).toMatchObject({ id: account });
    expect(asked('/bundles')).toBe(3);
  });

  it('ends when an answer does not come in time, and within its budget', async () => {
    standIn.state.before = (path) => path.endsWith('/bundles');
    const failing = open({ readTimeoutMs: 1_000, budgetMs: 30_000 }).read(account);
    await expect(failing).rejects.toMatchObject({ code: 'timeout' });
    expect(asked('/bundles')).toBeGreaterThan(1);
  });
});

async function listening(handle: Parameters<typeof createServer>[1]): Promise<Server> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const end = (server: Server) =>
  new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
