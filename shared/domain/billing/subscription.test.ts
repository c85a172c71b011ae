import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyNews, type Subscription, type SubscriptionNews, unheardOf } from './subscription.ts';

const name = { source: 'urn:billing', id: 's-1', customerId: 'c-1' };
const derived = 'derivedid234';

function news(sequence: number, change: Partial<SubscriptionNews> = {}): SubscriptionNews {
  return {
    planId: 'small',
    phase: 'evergreen',
    paid: true,
    overdueSince: null,
    ends: null,
    paused: false,
    sequence,
    cause: `event-${sequence}`,
    instanceId: undefined,
    configuration: undefined,
    ...change,
  };
}
const configuration = (of: string) => ({ name: of, owner: { email: 'owner@acme.example' } });

function fold(stream: readonly SubscriptionNews[]): Subscription {
  return stream.reduce<Subscription>((known, one) => {
    const applied = applyNews(known, one, derived);
    return applied.outcome === 'other-instance' ? known : applied.subscription;
  }, unheardOf(name));
}

const streams = fc
  .array(
    fc.record({
      paid: fc.boolean(),
      planId: fc.constantFrom('small', 'large'),
      overdueSince: fc.option(fc.date({ noInvalidDate: true })),
      configuration: fc.option(fc.constantFrom('acme', 'other').map(configuration), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((changes) => changes.map((change, sequence) => news(sequence, change)));

describe('the events of one subscription', () => {
  test('in any order and any number of times end where they end in order', () => {
    const disordered = streams.chain((stream) => {
      const twice = fc.shuffledSubarray([...stream, ...stream], { minLength: stream.length * 2 });
      return fc.tuple(fc.constant(stream), twice);
    });
    fc.assert(
      fc.property(disordered, ([stream, arrived]) => {
        const held = fold(arrived);
        expect(held).toEqual(fold(stream));
        expect(held).toMatchObject({ sequence: stream.length - 1, paid: stream.at(-1)?.paid });
      }),
    );
  });

  test('a late payment failure changes nothing of a paid subscription', () => {
    const paid = fold([news(3)]);
    const late = applyNews(paid, news(2, { paid: false, overdueSince: new Date() }), derived);
    expect(late).toEqual({ outcome: 'superseded', subscription: paid });
    expect(applyNews(paid, news(3, { paid: false }), derived)).toEqual({ outcome: 'superseded', subscription: paid });
  });

  test('a late configuration is taken where nothing newer told one', () => {
    const paid = fold([news(2)]);
    const late = applyNews(paid, news(1, { paid: false, configuration: configuration('acme') }), derived);
    expect(late).toMatchObject({
      outcome: 'completed',
      subscription: { paid: true, sequence: 2, instanceId: derived, configuration: { name: 'acme' } },
    });
    const newer = fold([news(4, { configuration: configuration('new') })]);
    expect(applyNews(newer, news(1, { configuration: configuration('old') }), derived)).toMatchObject({
      outcome: 'superseded',
      subscription: { configuration: { name: 'new' } },
    });
  });

  test('an instance that is named goes before the derived one, and is for life', () => {
    const named = fold([news(1, { instanceId: 'namedid23456', configuration: configuration('acme') })]);
    expect(named.instanceId).toBe('namedid23456');
    expect(applyNews(named, news(2, { instanceId: 'otherid23456' }), derived)).toEqual({ outcome: 'other-instance' });
    expect(applyNews(named, news(2, { instanceId: 'namedid23456' }), derived)).toMatchObject({ outcome: 'applied' });
  });
});
