import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { operationAdvance } from '#events/operation/advance.ts';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { signEvent } from '#shared/adapters/eventing/signature.ts';
import { makeKeyPair, readPrivateKey } from '#shared/adapters/eventing/signature-keys.ts';
import { insertSourceKey, upsertSourceRule } from '#shared/adapters/postgres/sources.ts';
import {
  instanceIdOf,
  provisionRequest,
  startTestFleet,
  type TestEvent,
  type TestFleet,
  until,
  userService,
} from '#shared/testing/fleet.ts';

const ourSource = 'urn:odoo-fleet';
const ourKey = makeKeyPair();
const userKey = makeKeyPair();
let secrets: string;
let running: Awaited<ReturnType<typeof startTestFleet>>;
let fleet: TestFleet;

beforeAll(async () => {
  secrets = await mkdtemp(join(tmpdir(), 'fleet-key-'));
  const keyFile = join(secrets, 'event-signing-key');
  await writeFile(keyFile, ourKey.privateKey, { mode: 0o600 });
  running = await startTestFleet({
    functionSettings: { SOURCES_POLICY: 'signed', EVENT_SIGNING_KEY_FILE: keyFile },
  });
  fleet = running.fleet;
  const everything = { eventType: '*', customerId: null, mustSign: false };
  for (const [source, key] of [
    [ourSource, ourKey],
    [userService, userKey],
  ] as const) {
    await upsertSourceRule(fleet.records, source, everything);
    await insertSourceKey(fleet.records, source, key);
  }
});
afterAll(async () => {
  await running.end();
  await rm(secrets, { recursive: true });
});

async function signed(event: TestEvent): Promise<TestEvent> {
  const parts = { ...event, dataHash: hashOfData(event.data) };
  const signature = await signEvent(parts, readPrivateKey(userKey.privateKey));
  return { ...event, attributes: { ...event.attributes, signature } };
}

const refusals = () =>
  fleet.rows<{ source: string; id: string; reason_code: string }>('select source, id, reason_code from dead_events');

it('where everything must be signed, a signed request becomes an instance by our own signed events', async () => {
  const event = await signed(provisionRequest('signed'));
  await fleet.publish(event);
  await fleet.operationIn('succeeded', instanceIdOf(event));
  expect(await until('the page', async () => (await fleet.loginPage('signed')) === 200)).toBe(true);
  expect(await refusals()).toEqual([]);
});

it('an unsigned request leaves nothing but itself among the dead events and a word in the audit', async () => {
  const event = provisionRequest('unsigned');
  await fleet.publish(event);
  await until('the refusal', async () => (await refusals()).length > 0);
  expect(await refusals()).toEqual([{ source: userService, id: event.id, reason_code: 'not-allowed' }]);
  expect(await fleet.operationOf(instanceIdOf(event))).toBeUndefined();
  expect(await fleet.rows('select 1 from instances where id = $1', [instanceIdOf(event)])).toEqual([]);
  expect(await fleet.rows('select 1 from inbox where id = $1', [event.id])).toEqual([]);
  expect(await fleet.rows("select action from audit where detail ->> 'event' = $1", [event.id])).toEqual([
    { action: `${event.type}.refused` },
  ]);
});

it('somebody who takes our name is refused', async () => {
  const id = 'taken-name';
  const data = { ...operationAdvance.example, kind: 'provision' };
  const attributes = { subject: data.instance, opkind: 'provision', operationid: data.operation };
  await fleet.publish(await signed({ id, type: operationAdvance.type, source: ourSource, data, attributes }));
  await until('the refusal', async () => (await refusals()).some((refusal) => refusal.id === id));
});
