import type { Queryable } from './database.ts';

/** What one source may send. */
export type SourceRule = {
  eventType: string;
  /** Only for this customer's instances; null: for everybody's. */
  customerId: string | null;
  /** Name of the key its commands are signed with; null: unsigned. */
  keyId: string | null;
  /** PEM or JWK of that key. */
  publicKey: string | null;
};

/** The rules of a source. None at all: the source is not known to us. */
export async function listSourceRules(queryable: Queryable, source: string): Promise<SourceRule[]> {
  const { rows } = await queryable.query<{
    event_type: string;
    customer_id: string | null;
    key_id: string | null;
    public_key: string | null;
  }>('select event_type, customer_id, key_id, public_key from sources where source = $1 order by event_type', [source]);
  return rows.map((row) => ({
    eventType: row.event_type,
    customerId: row.customer_id,
    keyId: row.key_id,
    publicKey: row.public_key,
  }));
}

export async function upsertSourceRule(queryable: Queryable, source: string, rule: SourceRule): Promise<void> {
  await queryable.query(
    `insert into sources (source, event_type, customer_id, key_id, public_key)
     values ($1, $2, $3, $4, $5)
     on conflict (source, event_type) do update
       set customer_id = excluded.customer_id, key_id = excluded.key_id, public_key = excluded.public_key`,
    [source, rule.eventType, rule.customerId, rule.keyId, rule.publicKey],
  );
}
