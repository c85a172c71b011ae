/** An account as Kill Bill's API tells it now, with what we need of all that belongs to it. */
export type KillBillAccount = {
  id: string;
  /** Ours for the customer. */
  externalKey: string | null;
  subscriptions: readonly KillBillSubscription[];
  fields: readonly CustomField[];
  /** With their items: without them Kill Bill says a balance of 0 for all. */
  invoices: readonly KillBillInvoice[];
  payments: readonly InvoicePayment[];
};

/** A day (`2027-01-31`) or a moment; Kill Bill's releases differ. */
export type DayOrMoment = string;

export type KillBillSubscription = {
  id: string;
  planName: string;
  /** TRIAL, DISCOUNT, FIXEDTERM or EVERGREEN. */
  phaseType: string | null;
  /** PENDING, ACTIVE, BLOCKED, CANCELLED or EXPIRED. BLOCKED: its bundle is paused, or the overdue rules block it. */
  state: string;
  /** BASE, ADD_ON or STANDALONE. */
  productCategory: string;
  startDate: DayOrMoment | null;
  /** When the entitlement ends, which may be to come. */
  cancelledDate: DayOrMoment | null;
  billingEndDate: DayOrMoment | null;
};

/** Of a subscription: what its instance is made of. */
export type CustomField = { subscriptionId: string; name: string; value: string };

export type KillBillInvoice = {
  id: string;
  /** `2027-01-31` */
  date: string;
  balance: number;
  /** DRAFT, COMMITTED or VOID. */
  status: string;
  items: readonly { subscriptionId: string | null; phaseName: string | null }[];
};

/** The tries to pay an invoice. */
export type InvoicePayment = {
  invoiceId: string;
  transactions: readonly { id: string; at: Date; outcome: 'paid' | 'failed' | 'open' }[];
};

/** Reads accounts. */
export type KillBill = {
  /**
   * The account as it is now; undefined when there is none. Reads only, so it may be asked any number of times.
   * @throws Failure `unavailable`, `timeout`, `misconfigured` (Kill Bill refuses us), `damaged` (an answer that is not
   * what Kill Bill documents).
   */
  read(accountId: string): Promise<KillBillAccount | undefined>;
};
