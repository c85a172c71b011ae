import { beforeAll, describe, expect, it } from 'vitest';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { signEvent } from '#shared/adapters/eventing/signature.ts';
import { makeKeyPair, readPrivateKey } from '#shared/adapters/eventing/signature-keys.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { Failure } from '#shared/domain/failure.ts';
import { authoriseBy, type ClaimedEvent, type SourcesPolicy } from './authorise.ts';

type Rule = { type: string; mustSign?: boolean; customerId?: string };
type Key = { keyId: string; publicKey: string };

/** Rows of one source, as the database would give them; counts how often it is asked. */
function worldOf(rules: Rule[], keys: Key[] = []) {
  const world = { rules, keys, reads: 0, nowMs: 0, failure: undefined as Error | undefined };
  const rowsOf = (source: unknown): object[] => [
    ...world.rules.map(({ type, mustSign = false, customerId = null }) => {
      return { source, event_type: type, customer_id: customerId, must_sign: mustSign, key_id: null };
    }),
    ...world.keys.map(({ keyId, publicKey }) => ({ source, event_type: null, key_id: keyId, public_key: publicKey })),
  ];
  const query = async (_: string, values: readonly unknown[] = []) => {
    world.reads += 1;
    if (world.failure !== undefined) throw world.failure;
    const rows = rowsOf(values[0]);
    return { rows, rowCount: rows.length };
  };
  const authorise = (policy: SourcesPolicy) =>
    authoriseBy({ query } as Queryable, policy, { nowMs: () => world.nowMs });
  return { world, authorise };
}

const event = (change: Partial<ClaimedEvent> = {}): ClaimedEvent => ({
  id: 'id-1',
  source: 'urn:billing',
  type: 'dev.odoofleet.instance.stop.requested',
  extensions: {},
  dataHash: hashOfData({ instance: 'abcdefgh2345' }),
  ...change,
});
const { type } = event();
const pair = makeKeyPair();
const other = makeKeyPair();
const signedBy = async ({ privateKey }: { privateKey: string }, change: Partial<ClaimedEvent> = {}) => {
  const bare = event(change);
  return { ...bare, extensions: { signature: await signEvent(bare, readPrivateKey(privateKey)) } };
};
let signed: ClaimedEvent;
beforeAll(async () => {
  signed = await signedBy(pair);
});

const refusal = (text: string) => ({ code: 'not-allowed', message: expect.stringContaining(text) });
const anyone = { customerId: null };

describe('an event of a source without rows', () => {
  it.each<[SourcesPolicy, boolean]>([
    ['open', true],
    ['known', false],
    ['signed', false],
  ])('under policy %s is let in: %s', async (policy, isLetIn) => {
    const asked = worldOf([]).authorise(policy)(signed);
    if (isLetIn) expect(await asked).toEqual(anyone);
    else await expect(asked).rejects.toMatchObject(refusal(`urn:billing may not send ${type} here`));
  });
});

describe('an event of a source with rows', () => {
  it.each<SourcesPolicy>(['open', 'known'])('of a type that no row names is refused under %s', async (policy) => {
    const { authorise } = worldOf([{ type: 'some.other.type' }]);
    await expect(authorise(policy)(event())).rejects.toMatchObject(refusal('may not send'));
  });

  it('is refused under open when the source has keys and no row', async () => {
    await expect(worldOf([], [pair]).authorise('open')(signed)).rejects.toMatchObject(refusal('may not send'));
  });

  it('is held to the row of its type before the row of all types', async () => {
    const { authorise } = worldOf([{ type: '*' }, { type, customerId: 'c-1' }]);
    expect(await authorise('known')(event())).toEqual({ customerId: 'c-1' });
    expect(await authorise('known')(event({ type: 'some.other.type' }))).toEqual(anyone);
  });

  it('needs a signature where the row says so, under every policy', async () => {
    for (const policy of ['open', 'known', 'signed'] as const) {
      const { authorise } = worldOf([{ type, mustSign: true, customerId: 'c-1' }], [pair]);
      await expect(authorise(policy)(event())).rejects.toMatchObject(refusal('it has no attribute "signature"'));
      expect(await authorise(policy)(signed)).toEqual({ customerId: 'c-1' });
    }
  });

  it('needs a signature under signed, whatever the row says', async () => {
    const { authorise } = worldOf([{ type: '*' }], [pair]);
    await expect(authorise('signed')(event())).rejects.toMatchObject(refusal('must be signed'));
    expect(await authorise('signed')(signed)).toEqual(anyone);
  });

  it('is refused when another source’s key signed it', async () => {
    const { authorise } = worldOf([{ type: '*', mustSign: true }], [pair]);
    await expect(authorise('open')(await signedBy(other))).rejects.toMatchObject(refusal('not one of this source'));
  });

  it('is refused when the signature is of another event', async () => {
    const { authorise } = worldOf([{ type: '*', mustSign: true }], [pair]);
    const { extensions } = signed;
    for (const change of [{ id: 'id-2' }, { type: 'some.other.type' }, { dataHash: hashOfData({}) }]) {
      await expect(authorise('open')(event({ ...change, extensions }))).rejects.toMatchObject(refusal('not made for'));
    }
  });

  it('is not verified where no signature is asked for', async () => {
    const { authorise } = worldOf([{ type: '*' }]);
    expect(await authorise('known')(event({ extensions: { signature: 'nonsense' } }))).toEqual(anyone);
  });
});

describe('the events of Knative itself', () => {
  it.each<SourcesPolicy>(['open', 'known', 'signed'])('pass under %s without a look at the rows', async (policy) => {
    const { authorise, world } = worldOf([]);
    const tick = event({ type: 'dev.knative.sources.ping', source: '/apis/v1/namespaces/x/pingsources/reconcile' });
    expect(await authorise(policy)(tick)).toEqual(anyone);
    expect(world.reads).toBe(0);
  });

  it('are told by their whole prefix', async () => {
    const { authorise } = worldOf([]);
    for (const odd of ['dev.knative', 'dev.knativex.y', 'x.dev.knative.y']) {
      await expect(authorise('known')(event({ type: odd }))).rejects.toMatchObject({ code: 'not-allowed' });
    }
  });
});

describe('the rules', () => {
  it('are read once for many events, and again when their time is over', async () => {
    const { authorise, world } = worldOf([{ type: '*' }]);
    const authorised = authorise('known');
    await Promise.all(Array.from({ length: 20 }, () => authorised(event())));
    expect(world.reads).toBe(1);
    world.nowMs = 4_999;
    await authorised(event());
    expect(world.reads).toBe(1);
    world.nowMs = 5_000;
    world.rules = [{ type: 'some.other.type' }];
    await expect(authorised(event())).rejects.toMatchObject({ code: 'not-allowed' });
    expect(world.reads).toBe(2);
  });

  it('that were added a moment ago count at once: nobody is refused from memory', async () => {
    const { authorise, world } = worldOf([{ type: '*', mustSign: true }], [pair]);
    const authorised = authorise('known');
    const byOther = await signedBy(other);
    await expect(authorised(byOther)).rejects.toMatchObject({ code: 'not-allowed' });
    world.keys = [pair, other];
    expect(await authorised(byOther)).toEqual(anyone);
    expect(await authorised(signed)).toEqual(anyone);
    expect(world.reads).toBe(2);
  });

  it.each([
    ['a Failure that is permanent elsewhere', new Failure('misconfigured', 'wrong password')],
    ['any error', new Error('ECONNREFUSED')],
  ])('that cannot be read (%s) are unavailable, never an open door', async (_, failure) => {
    for (const policy of ['open', 'known', 'signed'] as const) {
      const { authorise, world } = worldOf([{ type: '*' }], [pair]);
      const authorised = authorise(policy);
      world.failure = failure;
      await expect(authorised(signed)).rejects.toMatchObject({ code: 'unavailable' });
      world.failure = undefined;
      expect(await authorised(signed)).toEqual(anyone);
    }
  });

  it('that could be read before but not for a refusal leave the event for later', async () => {
    const { authorise, world } = worldOf([{ type: 'some.other.type' }]);
    const authorised = authorise('known');
    await authorised(event({ type: 'some.other.type' }));
    world.failure = new Error('ECONNREFUSED');
    await expect(authorised(event())).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('with a key that is none are a wrong setting, not the event’s fault', async () => {
    const { authorise } = worldOf([{ type: '*' }], [{ keyId: 'k-1', publicKey: 'nonsense' }]);
    const message = expect.stringContaining('Key k-1 of urn:billing cannot be used');
    await expect(authorise('known')(event())).rejects.toMatchObject({ code: 'misconfigured', message });
  });
});
