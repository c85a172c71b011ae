/** Who may ask, and what is his, as `tables` has it. */
export const accessTables = {
  api_keys: {
    id: 'text',
    name: 'text',
    secret_sha256: 'bytea',
    role: 'text',
    customer_id: 'text?',
    scopes: 'text[]',
    created_at: 'timestamptz',
    created_by: 'text',
    expires_at: 'timestamptz',
    revoked_at: 'timestamptz?',
    revoked_by: 'text?',
    last_used_at: 'timestamptz?',
  },
  custom_domains: {
    host: 'text',
    instance_id: 'text',
    token: 'text',
    created_at: 'timestamptz',
    created_by: 'text',
    verified_at: 'timestamptz?',
  },
  idempotency_keys: {
    actor: 'text',
    key: 'text',
    request_hash: 'bytea',
    status: 'integer?',
    headers: 'jsonb?',
    body: 'jsonb?',
    created_at: 'timestamptz',
  },
} as const;
