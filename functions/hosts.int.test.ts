import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { customerReactivated } from '#events/customer/reactivated.ts';
import { ping } from '#events/knative/ping.ts';
import { resourceUpdate } from '#events/knative/resource-update.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import {
  type EventRequest,
  type HostedFunction,
  hostCoreContract,
  hostOwnContract,
  type RunningHost,
} from '#shared/testing/contracts/host.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';

const root = join(import.meta.dirname, '..');
const hosts = ['serve', 'functions-framework'] as const;
type Host = (typeof hosts)[number];

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
let group: ProcessGroup;
let folder: string;
let broker: Server;

beforeAll(async () => {
  group = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'hosts-'));
  broker = createServer((_request, response) => response.writeHead(202).end());
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await group.stopAll();
  broker.closeAllConnections();
  await new Promise((resolve) => broker.close(resolve));
  await rm(folder, { recursive: true });
});

/** What each function accepts without a cluster or an Odoo server: the rest of its work is tested elsewhere. */
const accepted: Record<string, Pick<HostedFunction, 'good' | 'takesExtraFields'>> = {
  provision: {
    good: {
      outcome: 'unknown',
      make: () => {
        const data = { ...operationAdvance.example, operation: randomUUID() };
        return eventOf(operationAdvance.type, data, { 'ce-subject': data.instance });
      },
    },
  },
  billing: {
    good: {
      outcome: 'applied',
      make: () => eventOf(customerReactivated.type, { customer: randomUUID(), sequence: 1 }),
    },
  },
  observe: {
    good: {
      outcome: 'nothing-to-do',
      make: () => eventOf(resourceUpdate.type, { ...someoneElsesObject, unique: randomUUID() }),
    },
    takesExtraFields: true,
  },
  reconcile: {
    good: { outcome: 'quiet', make: () => eventOf(ping.type, { unique: randomUUID() }) },
    takesExtraFields: true,
  },
};

const someoneElsesObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'other', namespace: 'default', uid: 'cb0ee4c6-1b3f-4d52-8d5f-3d9bd3a6a001' },
};

for (const [name, event] of Object.entries(accepted)) {
  for (const kind of hosts) {
    const hosted: HostedFunction = {
      start: () => start(name, kind),
      ...event,
      deadReasons: async () => {
        const { rows } = await records().query<{ reason: string }>(
          'select reason from dead_events where received_by = $1 order by sequence',
          [name],
        );
        return rows.map(({ reason }) => reason);
      },
    };
    hostCoreContract(`${name} under ${kind}`, hosted);
    hostOwnContract(`${name} under ${kind}`, kind, hosted);
  }
}

function eventOf(type: string, data: unknown, more: Record<string, string> = {}): EventRequest {
  return {
    headers: {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': randomUUID(),
      'ce-source': 'urn:test',
      'ce-type': type,
      ...more,
    },
    body: JSON.stringify(data),
  };
}

async function start(name: string, kind: Host): Promise<RunningHost> {
  const port = await freePort();
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, made().password, { mode: 0o600 });
  const main = `functions/${name}/main.ts`;
  const framework = 'node_modules/@google-cloud/functions-framework/build/src/main.js';
  const running = await group.start({
    name: `${name} under ${kind}`,
    command: process.execPath,
    args: kind === 'serve' ? [main] : [framework, `--target=${name}`, `--source=${main}`],
    cwd: root,
    env: {
      PORT: String(port),
      PATH: process.env['PATH'] ?? '',
      LOG_LEVEL: 'warn',
      ...platformSettings(made(), passwordFile),
      BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`,
      KUBECONFIG: join(folder, 'no-cluster'),
      SOURCES_POLICY: 'open',
    },
    logFile: join(folder, `${name}-${kind}.log`),
  });
  await vi.waitFor(async () => expect(await isListening(port)).toBe(true), { timeout: 45_000, interval: 50 });
  return {
    port,
    terminate: () => void process.kill(running.pid, 'SIGTERM'),
    exited: running.exited,
    stop: () => running.stop({ graceMs: 1_000 }),
  };
}

async function isListening(port: number): Promise<boolean> {
  return await request(`http://127.0.0.1:${port}/healthz`).then(
    async ({ body }) => {
      await body.dump();
      return true;
    },
    () => false,
  );
}
