/** The tables of mails, as part of `tables`. */
export const mailTables = {
  mails: {
    id: 'uuid',
    template: 'text',
    instance_id: 'text',
    customer_id: 'text',
    operation_id: 'uuid?',
    address: 'text',
    language: 'text',
    state: 'text',
    attempts: 'integer',
    next_attempt_at: 'timestamptz?',
    last_error: 'text?',
    created_at: 'timestamptz',
    ended_at: 'timestamptz?',
    endpoint_id: 'uuid?',
  },
  bounced_addresses: { address: 'text', reason: 'text', bounced_at: 'timestamptz' },
  first_logins: {
    token_sha256: 'bytea',
    instance_id: 'text',
    sealed: 'bytea',
    expires_at: 'timestamptz',
    created_at: 'timestamptz',
  },
} as const;
