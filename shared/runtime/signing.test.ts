import { expect, test } from 'vitest';
import { serialise } from '#shared/adapters/eventing/publish.ts';
import { receive } from '#shared/adapters/eventing/receive.ts';
import { verifySignature } from '#shared/adapters/eventing/signature.ts';
import { makeKeyPair, readPublicKey } from '#shared/adapters/eventing/signature-keys.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { signAs } from './signing.ts';

const pair = makeKeyPair();
const keys = new Map([[pair.keyId, readPublicKey(pair.publicKey)]]);
const event = (change: Partial<OutgoingEvent> = {}): OutgoingEvent => ({
  id: '1',
  type: 'some.type',
  source: 'urn:odoo-fleet',
  data: { instance: 'abcdefgh2345' },
  ...change,
});

/** The event over the wire and back, and what its receiver says of the signature. */
async function verdictOf(sent: OutgoingEvent) {
  const { headers, body } = serialise(sent);
  const { event: got, dataHash } = receive(headers, Buffer.from(body));
  return await verifySignature({ ...got, dataHash }, got.extensions['signature'] ?? '', keys);
}

test.each([
  ['an object', { b: 1, a: 'Größe 😀' }],
  ['none', undefined],
  ['null', null],
  ['text', 'text'],
  ['members without a value', { a: undefined, b: [undefined] }],
  ['a date', { at: new Date(0) }],
  ['minus zero', { a: -0 }],
])('an event with data that is %s is signed as it arrives', async (_, data) => {
  const sent = await signAs('urn:odoo-fleet', pair.privateKey)(event({ data }));
  expect(await verdictOf(sent)).toEqual({ valid: true, keyId: pair.keyId });
});

test('other extensions stay; a signature that is there is replaced by ours', async () => {
  const extensions = { partitionkey: 'k', signature: 'old' };
  const sent = await signAs('urn:odoo-fleet', pair.privateKey)(event({ extensions }));
  expect(sent.extensions).toEqual({ partitionkey: 'k', signature: expect.stringMatching(/^[\w-]+\.\.[\w-]+$/) });
  expect(extensions.signature).toBe('old');
});

test('an event of somebody else, or without a key of ours, stays as it is', async () => {
  const theirs = event({ source: 'urn:billing' });
  expect(await signAs('urn:odoo-fleet', pair.privateKey)(theirs)).toBe(theirs);
  const ours = event();
  expect(await signAs('urn:odoo-fleet', undefined)(ours)).toBe(ours);
});

test('a key that cannot be read is told at the start, without quoting it', () => {
  const broken = pair.privateKey.replace('MC4', 'xxx');
  const failure = expect.objectContaining({
    code: 'misconfigured',
    message: expect.not.stringContaining(broken.split('\n')[1] ?? ''),
  });
  expect(() => signAs('urn:odoo-fleet', broken)).toThrow(failure);
  expect(() => signAs('urn:odoo-fleet', pair.publicKey)).toThrow('EVENT_SIGNING_KEY_FILE holds no usable key');
});
