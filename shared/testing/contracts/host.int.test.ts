import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { operationAdvance } from '#events/operation/advance.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import {
  type EventRequest,
  hostCoreContract,
  hostOwnContract,
  type RunningHost,
  uncaughtErrorContract,
} from './host.ts';

const root = join(import.meta.dirname, '../../..');
const programs = {
  serve: ['shared/testing/host-example/main.ts'],
  'functions-framework': [
    'node_modules/@google-cloud/functions-framework/build/src/main.js',
    '--target=example',
    '--source=shared/testing/host-example/functions-framework.ts',
  ],
};

let group: ProcessGroup;
let folder: string;
beforeAll(async () => {
  group = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'host-contract-'));
});
afterAll(async () => {
  await group.stopAll();
  await rm(folder, { recursive: true });
});

for (const kind of ['serve', 'functions-framework'] as const) {
  const hosted = {
    start: () => start(kind),
    good: { make: () => advance('nothing special'), outcome: 'done' },
    // what is broken off is not waited for: it must not have ended by itself when the process is told to
    slow: { make: () => advance(kind === 'serve' ? 'wait 700' : 'wait 5000') },
    unavailable: { make: () => advance('unavailable') },
    bug: { make: () => advance('bug') },
    uncaught: { make: () => advance('uncaught') },
    deadReasons: () => readDeadReasons(kind),
  };
  hostCoreContract(kind, hosted);
  hostOwnContract(kind, kind, hosted);
  uncaughtErrorContract(kind, kind, hosted);
}

function advance(reason: string): EventRequest {
  return {
    headers: {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': randomUUID(),
      'ce-source': 'urn:odoo-fleet',
      'ce-type': operationAdvance.type,
      'ce-subject': operationAdvance.example.instance,
    },
    body: JSON.stringify({ ...operationAdvance.example, reason }),
  };
}

async function start(kind: keyof typeof programs): Promise<RunningHost> {
  const port = await freePort();
  const running = await group.start({
    name: kind,
    command: process.execPath,
    args: programs[kind],
    cwd: root,
    env: { PORT: String(port), DEAD_FILE: deadFile(kind), LOG_LEVEL: 'warn', PATH: process.env['PATH'] ?? '' },
    logFile: join(folder, `${kind}.log`),
  });
  await listening(port);
  return {
    port,
    terminate: () => void process.kill(running.pid, 'SIGTERM'),
    exited: running.exited,
    stop: () => running.stop({ graceMs: 1_000 }),
  };
}

const deadFile = (kind: string) => join(folder, `${kind}.dead`);

async function readDeadReasons(kind: string): Promise<string[]> {
  const text = await readFile(deadFile(kind), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { reason: string }).reason);
}

async function listening(port: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/healthz`);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
