import { randomUUID } from 'node:crypto';

/** What Kill Bill posts to a callback: its NotificationJson. */
export type Notification = {
  eventType: string;
  accountId: string | null;
  objectType: string;
  objectId: string | null;
  metaData: string | null;
};

export type SubscriptionRecord = {
  subscriptionId: string;
  accountId: string;
  bundleId: string;
  externalKey: string;
  startDate: string;
  productName: string;
  productCategory: 'BASE' | 'ADD_ON';
  billingPeriod: string;
  phaseType: string;
  priceList: string;
  planName: string;
  state: 'PENDING' | 'ACTIVE' | 'BLOCKED' | 'CANCELLED' | 'EXPIRED';
  sourceType: 'NATIVE';
  cancelledDate: string | null;
  billingStartDate: string;
  billingEndDate: string | null;
};

export type InvoiceRecord = {
  invoiceId: string;
  accountId: string;
  invoiceDate: string;
  targetDate: string;
  amount: number;
  balance: number;
  currency: string;
  status: 'COMMITTED' | 'DRAFT' | 'VOID';
  items: {
    invoiceItemId: string;
    subscriptionId: string | null;
    phaseName: string | null;
    itemType: string;
    amount: number;
  }[];
};

export type PaymentRecord = {
  paymentId: string;
  accountId: string;
  targetInvoiceId: string;
  transactions: {
    transactionId: string;
    transactionType: string;
    effectiveDate: string;
    status: string;
    amount: number;
  }[];
};

export type FieldRecord = { customFieldId: string; objectId: string; objectType: string; name: string; value: string };

/** Everything a Kill Bill holds for one tenant. */
export type KillBillRecords = {
  accounts: Map<string, { accountId: string; externalKey: string | null; name: string; currency: string }>;
  subscriptions: Map<string, SubscriptionRecord>;
  invoices: Map<string, InvoiceRecord>;
  payments: PaymentRecord[];
  fields: FieldRecord[];
};

export function emptyRecords(): KillBillRecords {
  return { accounts: new Map(), subscriptions: new Map(), invoices: new Map(), payments: [], fields: [] };
}

type Said = (notification: Omit<Notification, 'metaData'> & { metaData?: string }) => void;

/** What people do at a Kill Bill. Each change tells what the real one tells of it, by `say`. */
export function openDesk(records: KillBillRecords, say: Said, clock: () => Date) {
  const today = () => clock().toISOString().slice(0, 10);
  const subscriptionOf = (id: string) => must(records.subscriptions.get(id), id);
  const tell = (eventType: string, id: string, actionType?: 'REQUESTED' | 'EFFECTIVE') => {
    const { accountId } = subscriptionOf(id);
    const metaData = actionType === undefined ? {} : { metaData: JSON.stringify({ actionType }) };
    say({ eventType, accountId, objectType: 'SUBSCRIPTION', objectId: id, ...metaData });
  };
  const change = (id: string, part: Partial<SubscriptionRecord>) => void Object.assign(subscriptionOf(id), part);

  return {
    account(externalKey: string | null = 'c-1'): string {
      const accountId = randomUUID();
      records.accounts.set(accountId, { accountId, externalKey, name: 'Acme', currency: 'USD' });
      say({ eventType: 'ACCOUNT_CREATION', accountId, objectType: 'ACCOUNT', objectId: accountId });
      return accountId;
    },
    subscribe(accountId: string, part: Partial<SubscriptionRecord> = {}): string {
      const subscriptionId = randomUUID();
      const bundleId = randomUUID();
      const planName = part.planName ?? 'small';
      records.subscriptions.set(subscriptionId, {
        ...{ subscriptionId, accountId, bundleId, externalKey: bundleId, planName },
        ...{ startDate: today(), billingStartDate: today(), billingEndDate: null, cancelledDate: null },
        ...{ productName: 'Odoo', productCategory: 'BASE', billingPeriod: 'MONTHLY', priceList: 'DEFAULT' },
        ...{ phaseType: 'TRIAL', state: 'ACTIVE', sourceType: 'NATIVE' },
        ...part,
      });
      tell('ENTITLEMENT_CREATION', subscriptionId);
      tell('SUBSCRIPTION_CREATION', subscriptionId, 'EFFECTIVE');
      return subscriptionId;
    },
    addFields(subscriptionId: string, fields: Record<string, string>): void {
      for (const [name, value] of Object.entries(fields)) {
        const customFieldId = randomUUID();
        records.fields.push({ customFieldId, objectId: subscriptionId, objectType: 'SUBSCRIPTION', name, value });
        const { accountId } = subscriptionOf(subscriptionId);
        say({ eventType: 'CUSTOM_FIELD_CREATION', accountId, objectType: 'CUSTOM_FIELD', objectId: customFieldId });
      }
    },
    invoice(subscriptionIds: readonly string[], part: Partial<InvoiceRecord> & { phaseName?: string } = {}): string {
      const { phaseName = 'small-evergreen', ...rest } = part;
      const invoiceId = randomUUID();
      const { accountId } = subscriptionOf(subscriptionIds[0] ?? '');
      const items = subscriptionIds.map((subscriptionId) => ({
        ...{ invoiceItemId: randomUUID(), subscriptionId, phaseName, itemType: 'RECURRING', amount: 10 },
      }));
      records.invoices.set(invoiceId, {
        ...{ invoiceId, accountId, invoiceDate: today(), targetDate: today(), currency: 'USD', status: 'COMMITTED' },
        ...{ amount: 10, balance: 10, items, ...rest },
      });
      say({ eventType: 'INVOICE_CREATION', accountId, objectType: 'INVOICE', objectId: invoiceId });
      return invoiceId;
    },
    /** A try to pay it: all that is open, or in vain. */
    pay(invoiceId: string, { isPaid = true, amount }: { isPaid?: boolean; amount?: number } = {}): void {
      const invoice = must(records.invoices.get(invoiceId), invoiceId);
      const { accountId } = invoice;
      const transaction = {
        ...{ transactionId: randomUUID(), transactionType: 'PURCHASE', effectiveDate: clock().toISOString() },
        ...{ status: isPaid ? 'SUCCESS' : 'PAYMENT_FAILURE', amount: amount ?? invoice.balance },
      };
      records.payments.push({
        paymentId: randomUUID(),
        accountId,
        targetInvoiceId: invoiceId,
        transactions: [transaction],
      });
      if (isPaid) invoice.balance -= transaction.amount;
      const eventType = isPaid ? 'INVOICE_PAYMENT_SUCCESS' : 'INVOICE_PAYMENT_FAILED';
      say({ eventType, accountId, objectType: 'INVOICE', objectId: invoiceId });
    },
    writeOff(invoiceId: string): void {
      const invoice = must(records.invoices.get(invoiceId), invoiceId);
      invoice.balance = 0;
      const { accountId } = invoice;
      say({ eventType: 'TAG_CREATION', accountId, objectType: 'TAG', objectId: randomUUID(), metaData: 'WRITTEN_OFF' });
    },
    /** For a day to come, or at once. */
    cancel(id: string, day?: string): void {
      tell('SUBSCRIPTION_CANCEL', id, 'REQUESTED');
      if (day !== undefined) return change(id, { cancelledDate: day, billingEndDate: day });
      change(id, { cancelledDate: today(), billingEndDate: today(), state: 'CANCELLED' });
      tell('ENTITLEMENT_CANCEL', id);
      tell('SUBSCRIPTION_CANCEL', id, 'EFFECTIVE');
    },
    uncancel(id: string): void {
      change(id, { cancelledDate: null, billingEndDate: null, state: 'ACTIVE' });
      tell('SUBSCRIPTION_UNCANCEL', id, 'EFFECTIVE');
    },
    expire(id: string): void {
      change(id, { billingEndDate: today(), state: 'EXPIRED' });
      tell('SUBSCRIPTION_EXPIRED', id, 'EFFECTIVE');
    },
    endTrial(id: string): void {
      change(id, { phaseType: 'EVERGREEN' });
      tell('SUBSCRIPTION_PHASE', id, 'EFFECTIVE');
    },
    changePlan(id: string, planName: string): void {
      change(id, { planName });
      tell('SUBSCRIPTION_CHANGE', id, 'EFFECTIVE');
    },
    setPaused(id: string, isPaused: boolean): void {
      change(id, { state: isPaused ? 'BLOCKED' : 'ACTIVE' });
      const { accountId, bundleId } = subscriptionOf(id);
      const eventType = isPaused ? 'BUNDLE_PAUSE' : 'BUNDLE_RESUME';
      say({ eventType, accountId, objectType: 'BUNDLE', objectId: bundleId });
    },
    /** What the overdue rules do: the account's subscriptions are blocked, or free again. */
    setOverdue(accountId: string, isBlocked: boolean): void {
      for (const one of records.subscriptions.values()) {
        if (one.accountId === accountId && one.state !== 'CANCELLED') one.state = isBlocked ? 'BLOCKED' : 'ACTIVE';
      }
      say({ eventType: 'BLOCKING_STATE', accountId, objectType: 'ACCOUNT', objectId: accountId });
      say({ eventType: 'OVERDUE_CHANGE', accountId, objectType: 'ACCOUNT', objectId: accountId });
    },
    /** Any other of its types. */
    say: (eventType: string, accountId: string | null) =>
      say({ eventType, accountId, objectType: 'ACCOUNT', objectId: accountId }),
  };
}

function must<Value>(value: Value | undefined, id: string): Value {
  if (value === undefined) throw new Error(`this Kill Bill has nothing of the id ${id}`);
  return value;
}
