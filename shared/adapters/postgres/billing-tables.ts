// The tables of what billing services tell, as `tables` has the others.

export const billingTables = {
  billing_notifications: {
    form: 'text',
    key: 'bytea',
    content_hash: 'bytea',
    type: 'text',
    account_id: 'text?',
    object_id: 'text?',
    deliveries: 'integer',
    received_at: 'timestamptz',
    last_received_at: 'timestamptz',
  },
  kill_bill_accounts: {
    id: 'text',
    customer_id: 'text?',
    asked: 'bigint',
    looked: 'bigint',
    look_at: 'timestamptz?',
    sent_at: 'timestamptz?',
    attempts: 'integer',
    last_error: 'text?',
    incomplete_looks: 'integer',
    fence: 'bigint',
    leased_until: 'timestamptz?',
    looked_at: 'timestamptz?',
  },
  kill_bill_subscriptions: {
    id: 'text',
    account_id: 'text',
    sequence: 'bigint',
    state: 'jsonb',
    updated_at: 'timestamptz',
  },
  kill_bill_payments: { account_id: 'text', name: 'text', told_at: 'timestamptz' },
} as const;
