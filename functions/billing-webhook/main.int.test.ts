import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
let group: ProcessGroup;
let folder: string;
let broker: Server;
let asked: ServerResponse[];
let isAnswering: boolean;

beforeAll(async () => {
  group = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'billing-webhook-'));
  [asked, isAnswering] = [[], false];
  broker = createServer((_request, response) => {
    asked.push(response);
    if (isAnswering) response.writeHead(202).end();
  });
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await group.stopAll();
  broker.closeAllConnections();
  await new Promise((resolve) => broker.close(resolve));
  await rm(folder, { recursive: true });
});

async function start() {
  const port = await freePort();
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await writeFile(join(folder, 'token'), 'a-token-of-the-test', { mode: 0o600 });
  const running = await group.start({
    name: 'billing-webhook',
    command: process.execPath,
    args: [join(import.meta.dirname, 'main.ts')],
    env: {
      PORT: String(port),
      PATH: process.env['PATH'] ?? '',
      LOG_LEVEL: 'warn',
      ...platformSettings(made(), join(folder, 'password')),
      KILL_BILL_WEBHOOK_TOKEN_FILE: join(folder, 'token'),
      BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`,
    },
    logFile: join(folder, 'billing-webhook.log'),
  });
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await vi.waitFor(async () => expect(await isUp()).toBe(true), { timeout: 45_000, interval: 50 });
  const notify = async () => {
    const accountId = randomUUID();
    const body = JSON.stringify({ eventType: 'SUBSCRIPTION_CREATION', accountId, objectType: 'SUBSCRIPTION' });
    const url = `http://127.0.0.1:${port}/kill-bill?token=a-token-of-the-test`;
    const answer = await fetch(url, { method: 'POST', body, headers: { connection: 'close' } });
    return answer.status;
  };
  return { running, notify };
}

test('a process that is told to end sends what it has accepted before its connections are closed', async () => {
  const { running, notify } = await start();
  expect(await notify()).toBe(202);
  await vi.waitFor(() => expect(asked).toHaveLength(1), 15_000);
  // this one is not being sent yet when the process is told to end
  expect(await notify()).toBe(202);
  process.kill(running.pid, 'SIGTERM');
  isAnswering = true;
  for (const response of asked) response.writeHead(202).end();
  await running.exited;
  // the first one waited for its answer before, and is the tick's when that took too long
  const text = 'select published_at is not null as is_published from outbox order by sequence desc limit 1';
  expect((await records().query(text)).rows).toEqual([{ is_published: true }]);
});
