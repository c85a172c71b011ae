import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { Pool } from 'pg';
import { replyOf } from '#functions/api/routes/accepted.ts';
import { instanceRoutes } from '#functions/api/routes/instances.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { type Principal, scopesOfRole } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { prepareProvision } from '#shared/runtime/requests/make.ts';

// What the function api is held against: node:http and pg, the statements of its own routes, and nothing else. Nobody is
// asked who he is, nothing is validated, limited, cached, logged or published.

const { PORT, DATABASE_HOST, DATABASE_PORT, DATABASE_NAME, DATABASE_PASSWORD_FILE, CUSTOMER_ID } = process.env;
const address = {
  host: String(DATABASE_HOST),
  port: Number(DATABASE_PORT),
  database: String(DATABASE_NAME),
  user: String(DATABASE_NAME),
  password: readFileSync(String(DATABASE_PASSWORD_FILE), 'utf8'),
};
// as many as the function's pool has
const pool = new Pool({ ...address, max: 5 });
const database = openDatabase({
  ...address,
  ...{ driver: 'pg', applicationName: 'bare', maxConnections: 5, sslMode: 'disable' },
  onError: (failure) => console.error(failure.message),
});
const customerId = String(CUSTOMER_ID);
const principal: Principal = { kind: 'key', id: 'bare', role: 'customer', customerId, scopes: scopesOfRole.customer };
const buyer: Principal = { ...principal, role: 'admin', customerId: null };

type Statement = { text: string; values: unknown[] };

/** The statement a route sends, with a value for what is asked of it. */
async function statementOf(operationId: string, asked: { params?: object; query?: object }): Promise<Statement> {
  let sent: Statement | undefined;
  const recorder: Queryable = {
    async query(text, values = []) {
      sent ??= { text, values: [...values] };
      return { rows: [], rowCount: 0 };
    },
  };
  type Ports = Parameters<typeof instanceRoutes>[0];
  const cache = {
    read: async (_kind: string, _id: string, load: () => unknown) => ({ value: await load(), result: 'miss' }),
  };
  const routes = instanceRoutes({ database: recorder, cache } as unknown as Ports);
  const found = routes.find((one) => one.operationId === operationId);
  const { signal } = new AbortController();
  await found
    ?.handle({ principal, params: {}, query: {}, body: undefined, headers: {}, requestId: '', signal, ...asked })
    // of no rows there is no instance
    .catch((error: unknown) => {
      if (!(error instanceof Failure && error.code === 'not-found')) throw error;
    });
  if (sent === undefined) throw new Error(`${operationId} sends no statement`);
  return sent;
}

const unknown = 'what is asked';
const page = { limit: 20, total: false, sort: '-createdAt' };
const list = await statementOf('listInstances', { query: page });
const search = await statementOf('listInstances', { query: { ...page, search: unknown } });
const detail = await statementOf('getInstance', { params: { id: unknown } });

async function rowsOf({ text, values }: Statement, asked: string): Promise<unknown> {
  return (
    await pool.query(
      text,
      values.map((value) => (value === unknown ? asked : value)),
    )
  ).rows;
}

async function create(request: IncomingMessage): Promise<unknown> {
  const body: Buffer[] = [];
  for await (const piece of request) body.push(piece);
  const wanted = JSON.parse(Buffer.concat(body).toString());
  const defaults = { imageId: 'odoo-19', clusterId: 'default', language: 'en_US', eventSource: 'urn:bare' };
  const made = prepareProvision({ principal: buyer, key: undefined }, wanted, defaults);
  const reply = await database.transaction(async (transaction) => {
    const asked = await made(transaction);
    if (asked instanceof Failure) throw asked;
    return await replyOf(transaction, asked);
  });
  return reply.body;
}

async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://bare');
  if (pathname === '/readyz') return { status: 200, body: null };
  if (request.method === 'POST') return { status: 202, body: await create(request) };
  const id = /^\/v1\/instances\/([a-z2-7]{12})$/.exec(pathname)?.[1];
  if (id !== undefined) return { status: 200, body: await rowsOf(detail, id) };
  const term = searchParams.get('search');
  return { status: 200, body: term === null ? await rowsOf(list, '') : await rowsOf(search, term) };
}

createServer((request, response) => {
  answer(request).then(
    ({ status, body }) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
}).listen(Number(PORT), '127.0.0.1');
