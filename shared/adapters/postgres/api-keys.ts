import type { ApiKey } from '#shared/domain/access/api-key.ts';
import { grantedScopes, type Role } from '#shared/domain/access/principal.ts';
import type { Database, Queryable } from './database.ts';

export const apiKeyColumns = `id, name, secret_sha256, role, customer_id, scopes, created_at, created_by, expires_at, revoked_at,
  last_used_at`;

export type ApiKeyRow = {
  id: string;
  name: string;
  secret_sha256: Buffer;
  role: Role;
  customer_id: string | null;
  scopes: string[];
  created_at: Date;
  created_by: string;
  expires_at: Date;
  revoked_at: Date | null;
  last_used_at: Date | null;
};

/** What an authenticator needs. */
export function apiKeyRecords(database: Database): {
  find(ids: readonly string[]): Promise<ApiKey[]>;
  noteUse(id: string): Promise<void>;
} {
  return {
    async find(ids) {
      const text = `select ${apiKeyColumns} from api_keys where id = any($1::text[])`;
      const { rows } = await database.query<ApiKeyRow>(text, [ids]);
      return rows.map(keyOf);
    },
    async noteUse(id) {
      // with many processes the first of them in a minute writes
      const text = `update api_keys set last_used_at = clock_timestamp()
        where id = $1 and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')`;
      await database.query(text, [id]);
    },
  };
}

export type NewApiKey = Pick<
  ApiKey,
  'id' | 'name' | 'secretSha256' | 'role' | 'customerId' | 'scopes' | 'createdBy' | 'expiresAt'
>;

/** @throws Failure `constraint-violated` when the customer does not exist. */
export async function insertApiKey(transaction: Queryable, key: NewApiKey): Promise<ApiKey> {
  const { id, name, secretSha256, role, customerId, scopes, createdBy, expiresAt } = key;
  const { rows } = await transaction.query<ApiKeyRow>(
    `insert into api_keys (id, name, secret_sha256, role, customer_id, scopes, created_by, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning ${apiKeyColumns}`,
    [id, name, secretSha256, role, customerId, scopes, createdBy, expiresAt],
  );
  return keyOf(rows[0] as ApiKeyRow);
}

/** How many of a customer's keys can be used now. */
export async function countLiveApiKeys(transaction: Queryable, customerId: string): Promise<number> {
  const { rows } = await transaction.query<{ count: number }>(
    `select count(*) from api_keys
     where customer_id = $1 and revoked_at is null and expires_at > clock_timestamp()`,
    [customerId],
  );
  return rows[0]?.count ?? 0;
}

/** When a usable key ends, held against its revocation until the end of the transaction; undefined when it is not usable. */
export async function lockKeyEnd(transaction: Queryable, id: string): Promise<Date | undefined> {
  const { rows } = await transaction.query<{ expires_at: Date }>(
    `select expires_at from api_keys
     where id = $1 and revoked_at is null and expires_at > clock_timestamp() for share`,
    [id],
  );
  return rows[0]?.expires_at;
}

/**
 * Revokes a key with the copies it made of itself: keys of the same role and customer, and those made by them. What an
 * admin's key made for others stays. The key and the ids this call revoked; undefined when there is no such key, or it is
 * another customer's.
 */
export async function revokeApiKey(
  transaction: Queryable,
  revoked: { id: string; by: string; customerId: string | null },
): Promise<{ key: ApiKey; revokedIds: readonly string[] } | undefined> {
  const { id, by, customerId } = revoked;
  const { rows: found } = await transaction.query<ApiKeyRow>(
    `select ${apiKeyColumns} from api_keys where id = $1 and ($2::text is null or customer_id = $2) for update`,
    [id, customerId],
  );
  if (found[0] === undefined) return undefined;
  // a statement of its own: it sees what was made until the lock was granted
  const { rows } = await transaction.query<{ id: string }>(
    `with recursive copies as (
       select id, role, customer_id from api_keys where id = $1
       union
       select k.id, k.role, k.customer_id from api_keys k join copies c
         on k.created_by = 'key:' || c.id and k.role = c.role and k.customer_id is not distinct from c.customer_id)
     update api_keys set revoked_at = clock_timestamp(), revoked_by = $2
     where id in (select id from copies) and revoked_at is null returning id`,
    [id, by],
  );
  return { key: keyOf(found[0]), revokedIds: rows.map((row) => row.id) };
}

/** Undefined when there is none, or it is another customer's. */
export async function findApiKey(
  queryable: Queryable,
  { id, customerId }: { id: string; customerId: string | null },
): Promise<ApiKey | undefined> {
  const { rows } = await queryable.query<ApiKeyRow>(
    `select ${apiKeyColumns} from api_keys where id = $1 and ($2::text is null or customer_id = $2)`,
    [id, customerId],
  );
  return rows[0] === undefined ? undefined : keyOf(rows[0]);
}

export function keyOf(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    secretSha256: row.secret_sha256,
    role: row.role,
    customerId: row.customer_id,
    scopes: grantedScopes({ role: row.role, customerId: row.customer_id }, row.scopes),
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  };
}
