import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { failureOf } from '#shared/testing/contracts/database/world.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { openDatabase } from './pool.ts';

// A server that crashes forgets the ids of transactions whose records had not reached its disk, and gives them out again.

let processes: ProcessGroup;
let folder: string;
let server: PostgresServer;
let proxy: TcpProxy;

beforeAll(async () => {
  processes = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'crash-'));
  // no other transaction takes to the disk what is not committed
  const settings = { autovacuum: 'off' };
  server = await startPostgres({ processes, folder, name: 'platform', settings });
  proxy = await startTcpProxy(server);
  await asAdmin('create table ledger (name text)');
  await asAdmin("create role fleet login password 'of a test'");
  await asAdmin('grant all on ledger to fleet');
}, 60_000);
afterAll(async () => {
  await proxy.close();
  await processes.stopAll();
  await removeTree(folder);
});

async function asAdmin<Row>(text: string): Promise<Row[]> {
  const { host, port, superuser: user, superuserPassword: password } = server;
  const client = new Client({ host, port, user, password, database: 'postgres' });
  // ends with the server
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const open = () =>
  openDatabase({
    driver: 'pg',
    host: proxy.host,
    port: proxy.port,
    database: 'postgres',
    user: 'fleet',
    password: 'of a test',
    applicationName: 'test',
    sslMode: 'disable',
    onError: () => undefined,
  });

/** Stops the process that writes now and then what is not committed, so that it stays in memory. Returns its id. */
async function stopWriter(): Promise<number> {
  const text = "select pid from pg_stat_activity where backend_type = 'walwriter'";
  const [row] = await asAdmin<{ pid: number }>(text);
  if (row === undefined) throw new Error('the server has no process that writes its log');
  process.kill(row.pid, 'SIGSTOP');
  return row.pid;
}

async function stopWithoutNotice(writer: number): Promise<void> {
  const restarted = server.restart({ signal: 'SIGQUIT' });
  // one that stands still hears nothing of it
  process.kill(writer, 'SIGKILL');
  await restarted;
}

/** The server goes on by itself after the loss of one process, having lost what all of them had in memory. */
async function loseProcess(writer: number): Promise<void> {
  const started = await startOfCheckpointer();
  process.kill(writer, 'SIGKILL');
  const isBack = async () => (await startOfCheckpointer().catch(() => started)) !== started;
  await expect.poll(isBack, { timeout: 20_000 }).toBe(true);
}

async function startOfCheckpointer(): Promise<string | undefined> {
  const text = "select backend_start::text as start from pg_stat_activity where backend_type = 'checkpointer'";
  return (await asAdmin<{ start: string }>(text))[0]?.start;
}

it.each<[string, (writer: number) => Promise<void>]>([
  ['is stopped without notice', stopWithoutNotice],
  ['loses a process', loseProcess],
])(
  'a server that %s before a COMMIT reached it is not taken for one that committed',
  { timeout: 60_000 },
  async (_what, crash) => {
    const writer = await stopWriter();
    const database = open();
    let id = '';
    const cut = proxy.cutAt('commit\0', { when: 'before' });
    const done = failureOf(
      database.transaction(async (transaction) => {
        await transaction.query("insert into ledger values ('ours')");
        id = (await transaction.query<{ id: string }>('select pg_current_xact_id()::text as id')).rows[0]?.id ?? '';
        proxy.refuse();
      }),
    );
    await cut;
    await crash(writer);
    // somebody else's transactions, until one has our id
    for (let next = ''; next !== id; ) {
      const rows = await asAdmin<{ id: string }>(
        "insert into ledger values ('another') returning pg_current_xact_id()::text as id",
      );
      next = rows[0]?.id ?? '';
      expect(BigInt(next)).toBeLessThanOrEqual(BigInt(id));
    }
    proxy.accept();
    expect((await done).code).toBe('outcome-unknown');
    expect(await asAdmin("select 1 from ledger where name = 'ours'")).toEqual([]);
    await database.end();
  },
);
