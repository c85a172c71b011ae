import { randomUUID } from 'node:crypto';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { terminateRequested } from '#events/instance/terminate.ts';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { serialise } from '#shared/adapters/eventing/publish.ts';
import { signEvent } from '#shared/adapters/eventing/signature.ts';
import { makeKeyPair, readPrivateKey } from '#shared/adapters/eventing/signature-keys.ts';
import { insertSourceKey, removeSourceKey, upsertSourceRule } from '#shared/adapters/postgres/sources.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { parseConfig } from './config.ts';
import { eventFunction } from './event-function.ts';
import { openPlatform, type Platform, platformRows } from './platform.ts';
import { serve } from './serve.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
const ourKey = makeKeyPair();
const billingKey = makeKeyPair();
const customersKey = makeKeyPair();

type Handled = { id: string; customerId: string | null };
/** The real function around a handler that only notes what reaches it. */
type RunningFunction = { platform: Platform; url: string; handled: Handled[]; stop(): Promise<void> };

let bouncer: TcpProxy;
const running: Record<string, RunningFunction> = {};
const started = (policy: string): RunningFunction => {
  const found = running[policy];
  if (found === undefined) throw new Error(`no function was started with policy ${policy}`);
  return found;
};

async function startFunction(policy: string): Promise<RunningFunction> {
  const secrets: Record<string, string> = { password: made().password, key: ourKey.privateKey };
  const env = {
    ...platformSettings({ ...made(), pooled: bouncer }, 'password'),
    EVENT_SIGNING_KEY_FILE: 'key',
    BROKER_URL: 'http://127.0.0.1:1',
    SOURCES_POLICY: policy,
    LOG_LEVEL: 'silent',
  };
  const platform = openPlatform('test', parseConfig(platformRows, env, { readFile: (path) => secrets[path] ?? '' }));
  const handled: Handled[] = [];
  const handler = eventFunction({
    ...platform.eventFunctionParts,
    definitions: [terminateRequested],
    async handle({ id }, { customerId }) {
      handled.push({ id, customerId });
      return 'accepted';
    },
  });
  const { port, drain } = await serve(handler, { port: 0, host: '127.0.0.1', log: platform.log });
  const stop = async () => {
    await drain();
    await platform.database.end();
  };
  return { platform, url: `http://127.0.0.1:${port}/`, handled, stop };
}

beforeAll(async () => {
  bouncer = await startTcpProxy(made().pooled);
  for (const policy of ['open', 'known', 'signed']) running[policy] = await startFunction(policy);
  await records().query("insert into customers (id) values ('c-1')");
});
afterAll(async () => {
  await Promise.all(Object.values(running).map(({ stop }) => stop()));
  await bouncer.close();
});
beforeEach(async () => {
  for (const { handled } of Object.values(running)) handled.length = 0;
  await records().query('truncate dead_events');
});

/** A source of this test alone, so that no rule of another test is remembered for it. */
const newSource = () => `urn:test:${randomUUID()}`;
const terminate = (source: string, change: Partial<OutgoingEvent> = {}): OutgoingEvent => ({
  ...announce(terminateRequested, terminateRequested.example, { id: randomUUID(), source }),
  time: new Date(0),
  ...change,
});

async function signed(event: OutgoingEvent, { privateKey }: { privateKey: string }): Promise<OutgoingEvent> {
  const signature = await signEvent({ ...event, dataHash: hashOfData(event.data) }, readPrivateKey(privateKey));
  return { ...event, extensions: { ...event.extensions, signature } };
}

async function deliver(policy: string, event: OutgoingEvent) {
  const { statusCode, headers, body } = await request(started(policy).url, { method: 'POST', ...serialise(event) });
  expect(await body.text()).toBe('');
  return `${statusCode} ${String(headers['x-outcome'])}`;
}

const deadEvents = async () =>
  (
    await records().query<{ id: string; reason_code: string; reason: string; attributes: Record<string, string> }>(
      'select id, reason_code, reason, attributes from dead_events order by sequence',
    )
  ).rows;
const auditOf = async (actor: string) =>
  (
    await records().query<{ action: string; instance_id: string | null; detail: Record<string, unknown> }>(
      'select action, instance_id, detail from audit where actor = $1 order by sequence',
      [actor],
    )
  ).rows;

/** 204, the event kept whole, an entry in the audit, and the handler never called. */
async function expectRefused(policy: string, event: OutgoingEvent, reason: string): Promise<void> {
  const before = (await auditOf(event.source)).length;
  expect(await deliver(policy, event)).toBe('204 refused');
  expect(started(policy).handled).toEqual([]);
  const dead = (await deadEvents()).filter(({ id }) => id === event.id);
  expect(dead).toMatchObject([{ reason_code: 'not-allowed', reason: expect.stringContaining(reason) }]);
  expect(dead[0]?.attributes['signature']).toBe(event.extensions?.['signature']);
  const audit = await auditOf(event.source);
  expect(audit).toHaveLength(before + 1);
  expect(audit.at(-1)).toMatchObject({
    action: 'dev.odoofleet.instance.terminate.requested.refused',
    instance_id: null,
    detail: { event: event.id, function: 'test', reason: expect.stringContaining(reason) },
  });
}

const allow = (source: string, rule: { customerId?: string; mustSign?: boolean } = {}) =>
  upsertSourceRule(records(), source, { eventType: '*', customerId: null, mustSign: false, ...rule });

describe('a command of a source that needs a key', () => {
  test('is refused without a signature, kept and audited, each time it comes', async () => {
    for (const policy of ['open', 'known', 'signed']) {
      const source = newSource();
      await allow(source, { mustSign: true });
      await insertSourceKey(records(), source, billingKey);
      const event = terminate(source);
      await expectRefused(policy, event, 'it has no attribute "signature"');
      await expectRefused(policy, event, 'it has no attribute "signature"');
    }
  });

  test('is handled with its signature', async () => {
    for (const policy of ['open', 'known', 'signed']) {
      const source = newSource();
      await allow(source, { mustSign: true });
      await insertSourceKey(records(), source, billingKey);
      const event = await signed(terminate(source), billingKey);
      expect(await deliver(policy, event)).toBe('204 accepted');
      expect(started(policy).handled).toEqual([{ id: event.id, customerId: null }]);
    }
    expect(await deadEvents()).toEqual([]);
  });

  test('is refused when anything signed was replaced', async () => {
    const source = newSource();
    await allow(source, { mustSign: true });
    await insertSourceKey(records(), source, billingKey);
    const event = await signed(terminate(source), billingKey);
    const data = { ...terminateRequested.example, instance: 'abcdefgh2345' };
    const { extensions } = event;
    await expectRefused('known', terminate(source, { extensions: extensions ?? {} }), 'it was not made for this id');
    const other = announce(terminateRequested, data, { id: event.id, source });
    const forged = { ...other, extensions: { ...other.extensions, signature: extensions?.['signature'] ?? '' } };
    await expectRefused('known', forged, 'it was not made for this id');
  });

  test('is refused when the key of another source signed it', async () => {
    const [billing, customer] = [newSource(), newSource()];
    for (const [source, key] of [
      [billing, billingKey],
      [customer, customersKey],
    ] as const) {
      await allow(source, { mustSign: true });
      await insertSourceKey(records(), source, key);
    }
    await expectRefused('signed', await signed(terminate(billing), customersKey), 'its key is not one of this source');
    expect(await deliver('signed', await signed(terminate(customer), customersKey))).toBe('204 accepted');
  });

  test('may be signed by an old and a new key while one replaces the other', async () => {
    const [older, newer] = [makeKeyPair(), makeKeyPair()];
    const source = newSource();
    await allow(source, { mustSign: true });
    await insertSourceKey(records(), source, older);
    expect(await deliver('signed', await signed(terminate(source), older))).toBe('204 accepted');
    // at once: the function has just remembered that there is one key
    await insertSourceKey(records(), source, newer);
    expect(await deliver('signed', await signed(terminate(source), newer))).toBe('204 accepted');
    expect(await deliver('signed', await signed(terminate(source), older))).toBe('204 accepted');
    await removeSourceKey(records(), source, older.keyId);
    // a function that remembers nothing of the source yet; others follow when their memory ends
    await expectRefused('known', await signed(terminate(source), older), 'its key is not one of this source');
    expect(await deliver('signed', await signed(terminate(source), newer))).toBe('204 accepted');
  });
});

test('a source without rows may say everything under open, and nothing else under the others', async () => {
  const event = terminate(newSource());
  expect(await deliver('open', event)).toBe('204 accepted');
  for (const policy of ['known', 'signed']) await expectRefused(policy, terminate(newSource()), 'may not send');
});

test('the customer that a source speaks for is handed to the function', async () => {
  const source = newSource();
  await allow(source, { customerId: 'c-1' });
  const event = terminate(source);
  expect(await deliver('known', event)).toBe('204 accepted');
  expect(started('known').handled).toEqual([{ id: event.id, customerId: 'c-1' }]);
});

describe('our own events', () => {
  const source = 'urn:odoo-fleet';

  test('are signed when they are published, and a function takes them like anybody’s', async () => {
    await allow(source);
    await insertSourceKey(records(), source, ourKey);
    const { platform, url, handled } = started('signed');
    const event = terminate(source, { data: { ...terminateRequested.example, reason: 'Größe “x”' } });
    expect(await platform.publishTo(url, [event])).toEqual({ published: [event.id], failed: [] });
    expect(handled).toEqual([{ id: event.id, customerId: null }]);
  });

  test('that somebody else sends under our name are refused', async () => {
    await allow(source);
    await insertSourceKey(records(), source, ourKey);
    await expectRefused('signed', terminate(source), 'it has no attribute "signature"');
    await expectRefused('signed', await signed(terminate(source), billingKey), 'its key is not one of this source');
  });

  test('cannot be published without a key where all need one', () => {
    const config = { ...parseConfig(platformRows, environment(), { readFile: () => 'x' }), eventSigningKey: undefined };
    expect(() => openPlatform('test', config)).toThrow('Set EVENT_SIGNING_KEY_FILE');
  });
});

const environment = () => ({
  PLATFORM_POSTGRES_HOST: '127.0.0.1',
  PLATFORM_POSTGRES_PASSWORD_FILE: 'x',
  BROKER_URL: 'http://127.0.0.1:1',
  SOURCES_POLICY: 'signed',
});

test('an event whose rules cannot be read is answered 503 and handled when it comes again', async () => {
  const source = newSource();
  await allow(source, { mustSign: true });
  await insertSourceKey(records(), source, billingKey);
  const event = await signed(terminate(source), billingKey);
  for (const policy of ['open', 'known', 'signed']) {
    bouncer.refuse();
    bouncer.cutAll();
    expect(await deliver(policy, event)).toBe('503 unavailable');
    expect(started(policy).handled).toEqual([]);
    bouncer.accept();
    await expect.poll(() => deliver(policy, event), { timeout: 10_000 }).toBe('204 accepted');
  }
  expect(await deadEvents()).toEqual([]);
  expect(await auditOf(source)).toEqual([]);
});
