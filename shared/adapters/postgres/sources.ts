import type { Queryable } from './database.ts';

/** What one source may send. */
export type SourceRule = {
  /** `*` stands for every type that has no rule of its own. */
  eventType: string;
  /** Only for this customer's instances; null: for everybody's. */
  customerId: string | null;
  /** Only with a signature by one of the source's keys. */
  mustSign: boolean;
};

/** A key that a source signs with, by its public half (SPKI PEM or JWK). A source may have several at a time. */
export type SourceKey = { keyId: string; publicKey: string };

/** Rules and keys of a source. None of either: the source is not known to us. */
export type SourceRecords = { rules: SourceRule[]; keys: SourceKey[] };

type Row = {
  source: string;
  event_type: string | null;
  customer_id: string | null;
  must_sign: boolean | null;
  key_id: string | null;
  public_key: string | null;
};

// One statement, so that rules and keys are of the same moment.
const selectRecords = (where: string) => `
  select source, event_type, customer_id, must_sign, null as key_id, null as public_key from sources ${where}
  union all
  select source, null, null, null, key_id, public_key from source_keys ${where}
  order by source, event_type, key_id`;

export async function findSource(queryable: Queryable, source: string): Promise<SourceRecords> {
  const { rows } = await queryable.query<Row>(selectRecords('where source = $1'), [source]);
  return grouped(rows).get(source) ?? { rules: [], keys: [] };
}

export async function listSources(queryable: Queryable): Promise<Map<string, SourceRecords>> {
  const { rows } = await queryable.query<Row>(selectRecords(''));
  return grouped(rows);
}

/** Adds the rule, or replaces the one of the same type. */
export async function upsertSourceRule(queryable: Queryable, source: string, rule: SourceRule): Promise<void> {
  await queryable.query(
    `insert into sources (source, event_type, customer_id, must_sign)
     values ($1, $2, $3, $4)
     on conflict (source, event_type) do update
       set customer_id = excluded.customer_id, must_sign = excluded.must_sign`,
    [source, rule.eventType, rule.customerId, rule.mustSign],
  );
}

/** False when there was none. */
export async function removeSourceRule(queryable: Queryable, source: string, eventType: string): Promise<boolean> {
  const { rowCount } = await queryable.query('delete from sources where source = $1 and event_type = $2', [
    source,
    eventType,
  ]);
  return rowCount > 0;
}

/** Adds a key. False when the source has another one of this id: a key is replaced by one with another id. */
export async function insertSourceKey(queryable: Queryable, source: string, key: SourceKey): Promise<boolean> {
  const { rows } = await queryable.query<{ is_same: boolean }>(
    `with added as (
       insert into source_keys (source, key_id, public_key) values ($1, $2, $3)
       on conflict (source, key_id) do nothing
       returning true as is_same
     )
     select is_same from added
     union all
     select public_key = $3 from source_keys where source = $1 and key_id = $2`,
    [source, key.keyId, key.publicKey],
  );
  return rows[0]?.is_same ?? false;
}

/** False when there was none. */
export async function removeSourceKey(queryable: Queryable, source: string, keyId: string): Promise<boolean> {
  const { rowCount } = await queryable.query('delete from source_keys where source = $1 and key_id = $2', [
    source,
    keyId,
  ]);
  return rowCount > 0;
}

function grouped(rows: readonly Row[]): Map<string, SourceRecords> {
  const sources = new Map<string, SourceRecords>();
  for (const row of rows) {
    const records = sources.get(row.source) ?? { rules: [], keys: [] };
    sources.set(row.source, records);
    if (row.event_type !== null) {
      const { event_type: eventType, customer_id: customerId, must_sign: mustSign } = row;
      records.rules.push({ eventType, customerId, mustSign: mustSign === true });
    } else if (row.key_id !== null && row.public_key !== null) {
      records.keys.push({ keyId: row.key_id, publicKey: row.public_key });
    }
  }
  return sources;
}
