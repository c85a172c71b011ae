import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KillBillAccount, KillBillInvoice, KillBillSubscription } from './account.ts';
import { announcementsOf, type Told } from './announcements.ts';
import { viewAccount } from './view.ts';
import { afterFailureMs, afterIncompleteMs } from './waits.ts';

const now = new Date('2027-03-10T12:00:00Z');
const nothing: Told = { states: new Map(), payments: new Set() };

const subscription = (change: Partial<KillBillSubscription> = {}): KillBillSubscription => ({
  ...{ id: 's-1', planName: 'small', phaseType: 'EVERGREEN', state: 'ACTIVE', productCategory: 'BASE' },
  ...{ startDate: '2027-01-10', cancelledDate: null, billingEndDate: null },
  ...change,
});
const invoice = (change: Partial<KillBillInvoice> = {}): KillBillInvoice => ({
  ...{ id: 'i-1', date: '2027-03-01', balance: 0, status: 'COMMITTED' },
  items: [{ subscriptionId: 's-1', phaseName: 'small-evergreen' }],
  ...change,
});
const account = (change: Partial<KillBillAccount> = {}): KillBillAccount => ({
  ...{
    id: 'a-1',
    externalKey: 'c-1',
    subscriptions: [subscription()],
    fields: [],
    invoices: [invoice()],
    payments: [],
  },
  ...change,
});
const view = (change: Partial<KillBillAccount> = {}, dueDays = 1) => viewAccount(account(change), { now, dueDays });
const stateOf = (change: Partial<KillBillAccount> = {}) => view(change).subscriptions[0]?.state;

describe('the state of a subscription at Kill Bill', () => {
  it.each([
    ['paid, when its invoice is', {}, { paid: true, overduesince: null }],
    ['not paid, when nothing was invoiced', { invoices: [] }, { paid: false, overduesince: null }],
    [
      'past due from the day after its invoice',
      { invoices: [invoice({ balance: 5 })] },
      { overduesince: '2027-03-02T00:00:00.000Z' },
    ],
    [
      'not past due by an invoice of today',
      { invoices: [invoice(), invoice({ id: 'i-2', date: '2027-03-10', balance: 5 })] },
      { paid: true, overduesince: null },
    ],
    [
      'past due since the oldest',
      { invoices: [invoice({ balance: 5 }), invoice({ id: 'i-2', date: '2027-02-01', balance: 5 })] },
      { overduesince: '2027-02-02T00:00:00.000Z' },
    ],
    [
      'not touched by a draft or a void invoice',
      { invoices: [invoice(), invoice({ balance: 5, status: 'DRAFT' }), invoice({ balance: 5, status: 'VOID' })] },
      { paid: true },
    ],
    [
      'not touched by the invoice of another subscription',
      { invoices: [invoice(), invoice({ balance: 5, items: [{ subscriptionId: 's-2', phaseName: null }] })] },
      { paid: true },
    ],
    [
      'past due by an invoice that names no subscription',
      { invoices: [invoice({ balance: 5, items: [{ subscriptionId: null, phaseName: null }] })] },
      { paid: false },
    ],
    [
      'not paid by the invoice of its trial',
      { invoices: [invoice({ items: [{ subscriptionId: 's-1', phaseName: 'small-trial' }] })] },
      { paid: false },
    ],
    ['paused, when it is blocked', { subscriptions: [subscription({ state: 'BLOCKED' })] }, { paused: true }],
    [
      'ended at the beginning of its day, when that took effect',
      { subscriptions: [subscription({ state: 'CANCELLED', cancelledDate: '2027-03-10' })] },
      { ends: { at: '2027-03-10T00:00:00.000Z', by: 'cancellation' } },
    ],
    [
      'ending at the end of its day before',
      { subscriptions: [subscription({ cancelledDate: '2027-03-10' })] },
      { ends: { at: '2027-03-10T23:59:59.000Z', by: 'cancellation' } },
    ],
    [
      'ending at a moment, where Kill Bill says one',
      { subscriptions: [subscription({ cancelledDate: '2027-03-10T08:00:00.000Z' })] },
      { ends: { at: '2027-03-10T08:00:00.000Z', by: 'cancellation' } },
    ],
    [
      'expired',
      { subscriptions: [subscription({ state: 'EXPIRED', billingEndDate: '2027-03-09' })] },
      { ends: { at: '2027-03-09T00:00:00.000Z', by: 'expiry' } },
    ],
  ] as const)('is %s', (_, change, expected) => {
    expect(stateOf(change)).toMatchObject(expected);
  });

  it('is past due at once when its payment failed', () => {
    const transactions = [{ id: 't-1', at: now, outcome: 'failed' as const }];
    const open = {
      invoices: [invoice({ date: '2027-03-10', balance: 5 })],
      payments: [{ invoiceId: 'i-1', transactions }],
    };
    expect(stateOf(open)).toMatchObject({ paid: false, overduesince: '2027-03-10T00:00:00.000Z' });
  });

  it('is nobody’s without a customer, and a person is told', () => {
    expect(view({ externalKey: null })).toMatchObject({ customerId: null, subscriptions: [] });
    expect(view({ externalKey: 'no customer!' }).problems).toHaveLength(1);
  });
});

describe('what is said of it', () => {
  it('is nothing, when it is what was said last, in whatever order its members come', () => {
    const first = announcementsOf(view(), nothing, now);
    expect(first.announcements).toMatchObject([{ type: 'subscription.created', data: { sequence: 1 } }]);
    const reversed = Object.fromEntries(Object.entries(stateOf() ?? {}).toReversed()) as never;
    const states = new Map([['s-1', { sequence: 1, state: reversed }]]);
    expect(announcementsOf(view(), { states, payments: new Set() }, now)).toEqual({
      announcements: [],
      states: [],
      payments: [],
    });
  });

  it('is nothing of one that had ended before it was heard of', () => {
    const over = view({ subscriptions: [subscription({ state: 'CANCELLED', cancelledDate: '2026-01-01' })] });
    expect(announcementsOf(over, nothing, now).announcements).toEqual([]);
  });

  it('is nothing of a payment that was told', () => {
    const transactions = [{ id: 't-1', at: now, outcome: 'paid' as const }];
    const seen = view({ payments: [{ invoiceId: 'i-1', transactions }] });
    const first = announcementsOf(seen, nothing, now);
    expect(first.announcements.map(({ type }) => type)).toEqual(['subscription.created', 'invoice.paid']);
    const states = new Map(first.states.map(({ id, ...rest }) => [id, rest]));
    expect(announcementsOf(seen, { states, payments: new Set(first.payments) }, now).announcements).toEqual([]);
  });

  it('is nothing of payments that are history', () => {
    const paidAt = (at: string) => [
      { invoiceId: 'i-1', transactions: [{ id: 't-1', at: new Date(at), outcome: 'paid' as const }] },
    ];
    expect(announcementsOf(view({ payments: paidAt('2027-02-01T00:00:00Z') }), nothing, now).payments).toEqual([]);
    expect(announcementsOf(view({ payments: paidAt('2027-03-09T00:00:00Z') }), nothing, now).payments).toEqual([
      'paid i-1',
    ]);
  });

  it('numbers without a gap, whatever happens between two looks', () => {
    const anyState = fc.record({
      state: fc.constantFrom('ACTIVE', 'BLOCKED', 'CANCELLED', 'EXPIRED'),
      planName: fc.constantFrom('small', 'large'),
      phaseType: fc.constantFrom('TRIAL', 'EVERGREEN'),
      cancelledDate: fc.constantFrom(null, '2027-03-09', '2027-04-01'),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(anyState, fc.constantFrom(0, 5)), { maxLength: 12 }), (looks) => {
        const states = new Map<string, Told['states'] extends ReadonlyMap<string, infer One> ? One : never>();
        const numbers: number[] = [];
        for (const [change, balance] of looks) {
          const seen = view({ subscriptions: [subscription(change)], invoices: [invoice({ balance })] });
          const said = announcementsOf(seen, { states, payments: new Set() }, now);
          numbers.push(...said.announcements.map(({ data }) => data.sequence));
          for (const { id, ...rest } of said.states) states.set(id, rest);
        }
        expect(numbers).toEqual(numbers.map((_, index) => index + 1));
      }),
    );
  });
});

describe('the waits of a look', () => {
  it('double after failures and stay below a minute, for ever', () => {
    expect([1, 2, 3, 4, 5, 1_000].map(afterFailureMs)).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
  });
  it('double for fields that are missing, and end after a day', () => {
    expect(afterIncompleteMs(1)).toBe(5_000);
    expect(afterIncompleteMs(15)).toBe(81_920_000);
    expect(afterIncompleteMs(16)).toBeNull();
  });
});
