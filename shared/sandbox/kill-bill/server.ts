import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { freePort } from '../servers/free-port.ts';
import { openPush } from './push.ts';
import { emptyRecords, type KillBillRecords, openDesk } from './records.ts';

export const killBillAccess = {
  user: 'fleet',
  password: 'kill-bill-password',
  apiKey: 'fleet',
  apiSecret: 'kill-bill-secret',
};

export type KillBillStandIn = Awaited<ReturnType<typeof startKillBill>>;

/**
 * A Kill Bill as far as we meet it, by its documentation: the lists of an account, the registration of callbacks, and push
 * notifications. Its time passes when somebody says so.
 */
export async function startKillBill({ now = Date.now() }: { now?: number } = {}) {
  const records = emptyRecords();
  let time = now;
  const callbacks: string[] = [];
  const push = openPush({ callbacks: () => callbacks, clock: () => time });
  const desk = openDesk(
    records,
    ({ metaData = null, ...said }) => push.say({ ...said, metaData }),
    () => new Date(time),
  );
  /** `before` may answer in its place: faults. */
  const state = {
    requests: [] as string[],
    before: undefined as ((path: string, response: ServerResponse) => boolean) | undefined,
  };
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://kill-bill');
    state.requests.push(`${request.method} ${url.pathname}`);
    if (state.before?.(url.pathname, response) === true) return;
    if (!isAllowed(request)) return answer(response, 401, { message: 'Unauthorized' });
    if (request.method === 'POST' && url.pathname === '/1.0/kb/tenants/registerNotificationCallback') {
      callbacks.push(url.searchParams.get('cb') ?? '');
      return answer(response, 201, undefined);
    }
    const found = request.method === 'GET' ? read(records, url) : undefined;
    return found === undefined
      ? answer(response, 404, {
          className: 'org.killbill.billing.account.api.AccountApiException',
          message: 'There is none',
        })
      : answer(response, 200, found);
  };
  let server = createServer(handle);
  // it comes back on the same port
  const port = await freePort();
  await listen(server, port);
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    url: `http://127.0.0.1:${port}`,
    records,
    desk,
    push,
    state,
    callbacks,
    clock: () => new Date(time),
    pass: (ms: number) => {
      time += ms;
    },
    goDown: stop,
    async comeBack(): Promise<void> {
      server = createServer(handle);
      await listen(server, port);
    },
    stop,
  };
}

function listen(server: ReturnType<typeof createServer>, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

function isAllowed({ headers }: IncomingMessage): boolean {
  const { user, password, apiKey, apiSecret } = killBillAccess;
  const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return (
    headers.authorization === basic &&
    headers['x-killbill-apikey'] === apiKey &&
    headers['x-killbill-apisecret'] === apiSecret
  );
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

/** What a GET gives; undefined when there is no such object. */
function read(records: KillBillRecords, { pathname, searchParams }: URL): unknown {
  const [, id = '', list] = /^\/1\.0\/kb\/accounts\/([^/]+)(?:\/(\w+))?$/.exec(pathname) ?? [];
  const account = records.accounts.get(id);
  if (account === undefined) return undefined;
  switch (list) {
    case undefined:
      return account;
    case 'bundles':
      return bundlesOf(records, id);
    case 'allCustomFields':
      return records.fields.filter(({ objectId }) => records.subscriptions.get(objectId)?.accountId === id);
    case 'invoices':
      return invoicesOf(records, id, searchParams);
    case 'invoicePayments':
      return records.payments.filter(({ accountId }) => accountId === id);
    case 'overdue':
      return overdueOf(records, id);
    default:
      return undefined;
  }
}

function bundlesOf({ subscriptions }: KillBillRecords, accountId: string): object[] {
  const own = [...subscriptions.values()].filter((one) => one.accountId === accountId);
  return [...new Set(own.map(({ bundleId }) => bundleId))].map((bundleId) => ({
    accountId,
    bundleId,
    externalKey: bundleId,
    subscriptions: own.filter((one) => one.bundleId === bundleId).map((one) => ({ ...one, events: [] })),
  }));
}

/** Without their components invoices have no items and, measured at the real one, a balance of 0. */
function invoicesOf({ invoices }: KillBillRecords, accountId: string, query: URLSearchParams): object[] {
  const isWhole = query.get('includeInvoiceComponents') === 'true';
  return [...invoices.values()]
    .filter((one) => one.accountId === accountId && one.status !== 'VOID')
    .map((one) => (isWhole ? one : { ...one, amount: 0, balance: 0, items: [] }));
}

function overdueOf({ subscriptions }: KillBillRecords, accountId: string): object {
  const isBlocked = [...subscriptions.values()].some((one) => one.accountId === accountId && one.state === 'BLOCKED');
  return { name: isBlocked ? 'BLOCKED' : '__KILLBILL__CLEAR__OVERDUE_STATE__', isClearState: !isBlocked };
}
