import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { catalogue } from '#events/catalogue.ts';
import type { AnyEventDefinition } from '#events/envelope.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { startPrimingDatabase } from './priming-database.ts';

const program = fileURLToPath(new URL('prime.ts', import.meta.url));
const limitMs = 60_000;
const notSecret = 'not a secret';

/**
 * Runs a bundled function once, against a database and a broker that only look like it, and leaves `function.cache` beside it. Returns the
 * cache's size. @throws Error with what the function said, when it does not start.
 */
export async function primeFunction(name: string, folder: string): Promise<number> {
  const work = await mkdtemp(join(tmpdir(), 'fleet-prime-'));
  const database = await startPrimingDatabase(notSecret, { outbox: waitingEvent });
  const broker = await startBroker();
  try {
    const password = join(work, 'password');
    await writeFile(password, notSecret);
    const said = await run(folder, {
      PATH: process.env['PATH'] ?? '',
      NODE_ENV: 'production',
      LOG_LEVEL: 'info',
      PORT: String(name === 'suspension-page' ? pagePort : await freePort()),
      LISTEN_ADDRESS: name === 'suspension-page' ? ownAddress() : '127.0.0.1',
      PLATFORM_POSTGRES_HOST: '127.0.0.1',
      PLATFORM_POSTGRES_PORT: String(database.port),
      PLATFORM_POSTGRES_PASSWORD_FILE: password,
      ODOO_POSTGRES_PASSWORDS_DIR: work,
      BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`,
      SOURCES_POLICY: 'open',
      PRIME_EVENTS: JSON.stringify(eventsFor(name)),
    });
    if (said !== undefined) throw new Error(`${name} was built, but does not start:\n${said}`);
    return (await stat(join(folder, 'function.cache'))).size;
  } finally {
    broker.close();
    await database.close();
    await rm(work, { recursive: true, force: true });
  }
}

/** What anybody finds in the outbox, or has written there: the way to the broker is compiled, too. */
const waitingEvent = {
  id: { type: 2950, text: '01a2000f-ef46-7c28-9f73-15905c7835b3' },
  type: { type: 25, text: 'dev.odoofleet.operation.advance' },
  source: { type: 25, text: 'urn:odoo-fleet' },
  subject: { type: 25, text: 'operation/1' },
  data: { type: 3802, text: '{"operation":"1"}' },
  extensions: { type: 3802, text: '{"opkind":"stop"}' },
  created_at: { type: 1184, text: '2026-11-21 09:30:00.123456+00' },
  attempts: { type: 23, text: '0' },
};

/** Takes every event. */
async function startBroker(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(202).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Its ports are fixed, as its manifest names them; so each run takes an address. */
const pagePort = 8080;
const ownAddress = () => `127.77.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`;

/** Undefined when all went well, else the last of what was said. */
function run(folder: string, env: Record<string, string>): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, folder], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
    });
    let said = '';
    const keep = (chunk: Buffer) => (said = (said + chunk.toString()).slice(-3000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve(code === 0 ? undefined : `${said}\n(ended with ${signal ?? code})`);
    });
  });
}

/** One that the function understands, where it is told by its name, and one that it has to bury. */
function eventsFor(name: string): { headers: Record<string, string>; body: string }[] {
  const wanted: Record<string, string> = {
    observe: 'dev.knative.apiserver.resource.update',
    reconcile: 'dev.knative.sources.ping',
    billing: 'dev.odoofleet.billing.subscription.created',
    webhook: 'dev.odoofleet.webhook.due',
    notify: 'dev.odoofleet.notification.due',
  };
  const type = wanted[name] ?? `dev.odoofleet.instance.${name}.requested`;
  const known = catalogue.filter((definition) => definition.type === type);
  return [...known, ...catalogue.slice(0, 1)].map(eventOf);
}

function eventOf(definition: AnyEventDefinition): { headers: Record<string, string>; body: string } {
  const subject = definition.subject.of(definition.example as never);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': 'prime',
    'ce-source': 'urn:odoo-fleet:build',
    'ce-type': definition.type,
    'ce-time': '2026-11-21T09:30:00.000Z',
    ...(subject === undefined ? {} : { 'ce-subject': subject }),
  };
  for (const [name, rule] of Object.entries(definition.extensions)) {
    const value = rule(definition.example as never);
    if (value !== undefined) headers[`ce-${name}`] = value;
  }
  return { headers, body: JSON.stringify(definition.example) };
}
