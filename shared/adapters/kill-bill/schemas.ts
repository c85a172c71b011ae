import * as v from 'valibot';
import type { InvoicePayment, KillBillInvoice, KillBillSubscription } from '#shared/domain/kill-bill/account.ts';

// What Kill Bill 0.24 documents, as far as we read it. What else it sends is left alone.
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/));
const dayOrMoment = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}(T.*)?$/),
  v.check((text) => !Number.isNaN(Date.parse(text))),
);
const absent = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.nullable(schema), null);

export const accountSchema = v.object({ accountId: id, externalKey: absent(v.string()) });

const subscriptionSchema = v.pipe(
  v.object({
    subscriptionId: id,
    planName: v.string(),
    phaseType: absent(v.string()),
    state: v.string(),
    productCategory: v.string(),
    startDate: absent(dayOrMoment),
    cancelledDate: absent(dayOrMoment),
    billingEndDate: absent(dayOrMoment),
  }),
  v.transform(({ subscriptionId, ...rest }): KillBillSubscription => ({ id: subscriptionId, ...rest })),
);

export const bundlesSchema = v.pipe(
  v.array(v.object({ subscriptions: v.array(subscriptionSchema) })),
  v.transform((bundles) => bundles.flatMap(({ subscriptions }) => subscriptions)),
);

export const fieldsSchema = v.pipe(
  v.array(v.object({ objectId: id, objectType: v.string(), name: v.string(), value: absent(v.string()) })),
  v.transform((all) =>
    all
      .filter(({ objectType }) => objectType === 'SUBSCRIPTION')
      .map(({ objectId, name, value }) => ({ subscriptionId: objectId, name, value: value ?? '' })),
  ),
);

const invoiceSchema = v.pipe(
  v.object({
    invoiceId: id,
    invoiceDate: dayOrMoment,
    balance: v.number(),
    status: v.string(),
    // Required: an invoice without its items has a balance of 0, whatever is open.
    items: v.array(v.object({ subscriptionId: absent(id), phaseName: absent(v.string()) })),
  }),
  v.transform(
    ({ invoiceId, invoiceDate, ...rest }): KillBillInvoice => ({
      id: invoiceId,
      date: invoiceDate.slice(0, 10),
      ...rest,
    }),
  ),
);
export const invoicesSchema = v.array(invoiceSchema);

const outcomes: Readonly<Record<string, 'paid' | 'failed'>> = {
  SUCCESS: 'paid',
  PAYMENT_FAILURE: 'failed',
  PLUGIN_FAILURE: 'failed',
};

const transactionSchema = v.object({
  transactionId: id,
  transactionType: v.string(),
  effectiveDate: dayOrMoment,
  status: v.string(),
});

export const paymentsSchema = v.pipe(
  v.array(v.object({ targetInvoiceId: id, transactions: v.array(transactionSchema) })),
  v.transform((all) =>
    all.map(
      ({ targetInvoiceId, transactions }): InvoicePayment => ({
        invoiceId: targetInvoiceId,
        // refunds and chargebacks show in the balance
        transactions: transactions
          .filter(({ transactionType }) => transactionType === 'PURCHASE')
          .map(({ transactionId, effectiveDate, status }) => ({
            id: transactionId,
            at: new Date(effectiveDate),
            outcome: outcomes[status] ?? 'open',
          })),
      }),
    ),
  ),
);
