import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { AnyEventDefinition } from '#events/envelope.ts';
import { statusChanged } from '#events/instance/status-changed.ts';
import { webhookDue } from '#events/webhook/due.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { insertEndpoint } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { openReceiver, type Receiver } from '#shared/adapters/webhook/receiver.fixture.ts';
import { openWebhookSender, type WebhookSender } from '#shared/adapters/webhook/send.ts';
import { type KeyRing, ringKeyWrapper } from '#shared/domain/backup/key-ring.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { newSecret, type SecretWrapper } from '#shared/domain/webhook/secret.ts';
import type { VisibleType } from '#shared/domain/webhook/visible-events.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { type WebhookEvent, webhookHandler } from './handler.ts';

const ring: KeyRing = { current: 'k1', keys: new Map([['k1', newSecret()]]) };
const wrapper = ringKeyWrapper(() => ring);
export const secrets: SecretWrapper = {
  wrap: (secret, instanceId) => wrapper.wrap(secret, { purpose: 'webhook', instanceId }),
  unwrap: (wrapped, instanceId) => wrapper.unwrap(wrapped, { purpose: 'webhook', instanceId }),
};

export type World = {
  sender: WebhookSender;
  troubles: string[];
  /** What came of each try. */
  attempts: string[];
  flushes: number;
  handle(event: WebhookEvent): Promise<string>;
};

/** The function's handler with a real sender, which may reach this machine. */
export function openWorld(database: Database, timeoutMs = 30_000): World {
  const world: World = {
    sender: openWebhookSender({ policy: 'any', timeoutMs }),
    troubles: [],
    attempts: [],
    flushes: 0,
    handle: (event) => handler(event),
  };
  const handler = webhookHandler({
    database,
    sender: world.sender,
    secrets,
    eventSource: 'urn:odoo-fleet',
    onAttempt: ({ outcome, seconds }) => void world.attempts.push(seconds > 0 ? outcome : `${outcome} in no time`),
    onTrouble: (what, error) => void world.troubles.push(`${what}: ${String(error)}`),
    flush: async () => {
      world.flushes += 1;
    },
  });
  return world;
}

/**
 * A database of this file's own, and for each test a receiver that takes everything and a world before it: `opened` is
 * given them. A test whose world met troubles fails, unless it takes them out. Call it at the top of the file.
 */
export function worldOfThisFile(
  opened: (parts: { database: Database; receiver: Receiver; world: World }) => void,
  { timeoutMs }: { timeoutMs?: number } = {},
) {
  const platform = platformOfThisFile();
  let receiver: Receiver;
  let world: World;

  beforeAll(() => insertCatalogue(platform()));
  beforeEach(async () => {
    await platform().query(
      'truncate webhook_endpoints, webhook_sequences, webhook_deliveries, webhook_attempts, outbox',
    );
    receiver = await openReceiver();
    world = openWorld(platform(), timeoutMs);
    opened({ database: platform(), receiver, world });
  });
  afterEach(async () => {
    expect(world.troubles).toEqual([]);
    await world.sender.end();
    await receiver.close();
  });

  const url = (path = '/hook') => `http://127.0.0.1:${receiver.port}${path}`;
  const bodies = () => receiver.received.map(({ body }) => JSON.parse(body));
  const refuse = (status = 500) => {
    receiver.answer = (_request, response) => void response.writeHead(status).end();
  };
  const accept = () => refuse(204);
  async function deliveries() {
    const { rows } = await platform().query<{ id: string; state: string; attempts: number; sequence: number }>(
      'select id, state, attempts, sequence from webhook_deliveries order by created_at, id',
    );
    return rows;
  }
  async function endpoint(id: string) {
    const { rows } = await platform().query<{ disabled_reason: string | null; failing_since: Date | null }>(
      'select * from webhook_endpoints where id = $1',
      [id],
    );
    return rows[0];
  }
  async function outbox() {
    const { rows } = await platform().query<{ type: string; data: unknown }>('select type, data from outbox');
    return rows;
  }
  return { url, bodies, refuse, accept, deliveries, endpoint, outbox };
}

/** Adds an endpoint of c-1. Its secret, for those who check signatures. */
export async function addEndpoint(
  database: Database,
  url: string,
  options: { types?: VisibleType[]; customerId?: string } = {},
): Promise<{ id: string; secret: Buffer }> {
  const id = newOperationId();
  const secret = newSecret();
  const { types = [], customerId = 'c-1' } = options;
  const wrapped = await secrets.wrap(secret, id);
  await insertEndpoint(database, { id, customerId, url, description: '', types, secret: wrapped }, { actor: 'test' });
  return { id, secret };
}

export const due = { ...envelope(webhookDue.type), data: webhookDue.example } as WebhookEvent;

/** A change of an instance's status, as the function gets it. */
export function changed(
  instance: string,
  overrides: { id?: string; to?: string; customer?: string } = {},
): WebhookEvent {
  const { id, to = 'running', customer = 'c-1' } = overrides;
  const data = { ...statusChanged.example, instance, customer, to };
  return { ...envelope(statusChanged.type, id), extensions: { tenantid: customer }, data } as unknown as WebhookEvent;
}

function envelope(type: AnyEventDefinition['type'], id: string = randomUUID()) {
  return { id, type, source: 'urn:odoo-fleet', time: new Date().toISOString(), extensions: {} };
}

/** Lets what waits be due. */
export async function letTimePass(database: Database): Promise<void> {
  await database.query(`update webhook_deliveries set next_attempt_at = now() where state = 'waiting'`);
}
