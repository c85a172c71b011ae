import { Failure } from '#shared/domain/failure.ts';
import type { Queryable } from './database.ts';

/** What a call was answered. */
export type KeptAnswer = { status: number; headers: Record<string, string>; body: unknown };

export type CallKey = {
  actor: string;
  key: string;
  /** sha256 of what was asked. */
  requestHash: Buffer;
};

/** How long the first answer is given again. */
export const keysKeptDays = 7;

/**
 * Takes a key for a call, in the transaction of what the call brings about; gives the first answer when it is taken. A call
 * with the same key at the same time waits here for the end of the first one's. @throws Failure `reused-key`.
 */
export async function takeKey(transaction: Queryable, call: CallKey): Promise<KeptAnswer | undefined> {
  const { rowCount } = await transaction.query(
    'insert into idempotency_keys (actor, key, request_hash) values ($1, $2, $3) on conflict do nothing',
    [call.actor, call.key, call.requestHash],
  );
  if (rowCount === 1) return undefined;
  const { rows } = await transaction.query<KeptAnswer & { is_same: boolean }>(
    'select status, headers, body, request_hash = $3 as is_same from idempotency_keys where actor = $1 and key = $2',
    [call.actor, call.key, call.requestHash],
  );
  const [kept] = rows;
  // forgotten between the two statements
  if (kept === undefined) throw new Failure('conflict', `The Idempotency-Key ${call.key} is old. Use a new one.`);
  const { is_same: isSame, ...answer } = kept;
  if (isSame) return answer;
  const text = `The Idempotency-Key ${call.key} stands for another request. Use a new key for a new request.`;
  throw new Failure('reused-key', text);
}

/** Notes the answer, in the same transaction. */
export async function keepAnswer(transaction: Queryable, call: CallKey, answer: KeptAnswer): Promise<void> {
  await transaction.query(
    'update idempotency_keys set status = $3, headers = $4, body = $5 where actor = $1 and key = $2',
    [call.actor, call.key, answer.status, JSON.stringify(answer.headers), JSON.stringify(answer.body ?? null)],
  );
}

/** Frees the key of a call that was refused: what was in its way may go away. */
export async function freeKey(transaction: Queryable, call: CallKey): Promise<void> {
  await transaction.query('delete from idempotency_keys where actor = $1 and key = $2', [call.actor, call.key]);
}

/** Deletes keys that are too old, at most `limit`. Returns how many. */
export async function trimKeys(queryable: Queryable, { limit }: { limit: number }): Promise<number> {
  const { rowCount } = await queryable.query(
    `delete from idempotency_keys where (actor, key) in (
       select actor, key from idempotency_keys where created_at < clock_timestamp() - $1::integer * interval '1 day'
       order by created_at limit $2 for update skip locked)`,
    [keysKeptDays, limit],
  );
  return rowCount;
}
