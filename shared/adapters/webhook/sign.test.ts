import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { newSecret, secretText } from '#shared/domain/webhook/secret.ts';
import { signedHeaders } from './sign.ts';

const [old, young, foreign] = [newSecret(), newSecret(), newSecret()];
const body = '{"type":"x","data":{"a":"ä"}}';
const headers = (at = new Date(), secrets = [young]) => signedHeaders({ id: 'event-1', at, body, secrets });
const verify = (secret: Buffer, signed: Record<string, string>, text = body) =>
  new Webhook(secretText(secret)).verify(text, signed);

describe('a receiver with the library of the specification', () => {
  test('finds the signature valid by the secret it was shown', () => {
    expect(verify(young, headers())).toEqual(JSON.parse(body));
  });

  test('finds it valid by either secret while both are in use', () => {
    const both = headers(new Date(), [young, old]);
    expect(both['webhook-signature']?.split(' ')).toHaveLength(2);
    for (const secret of [old, young]) expect(() => verify(secret, both)).not.toThrow();
  });

  test('refuses another secret, another text, another id and another time', () => {
    const signed = headers();
    expect(() => verify(foreign, signed)).toThrow();
    expect(() => verify(young, signed, body.replace('ä', 'a'))).toThrow();
    expect(() => verify(young, { ...signed, 'webhook-id': 'event-2' })).toThrow();
    expect(() =>
      verify(young, { ...signed, 'webhook-timestamp': String(Number(signed['webhook-timestamp']) + 1) }),
    ).toThrow();
  });

  test('refuses one that is old, as one that is replayed is', () => {
    expect(() => verify(young, headers(new Date(Date.now() - 10 * 60_000)))).toThrow('too old');
  });
});
