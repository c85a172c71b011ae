import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import {
  type CallKey,
  freeKey,
  type KeptAnswer,
  keepAnswer,
  takeKey,
} from '#shared/adapters/postgres/idempotency-keys.ts';
import { actorOf, type Principal } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';

/** A call that changes something, as the caller may repeat it. */
export type KeyedCall = {
  principal: Principal;
  /** The caller's own name for the call. */
  key: string | undefined;
  /** All that is asked: where, and with what. Another one under the same key is another request. */
  asked: unknown;
};

/** An answer, and whether it is that of an earlier call. */
export type Answer = KeptAnswer & { isRepeated: boolean };

/** What a call came to: a refusal is written down, but not kept for the next call with the key. */
export type Worked = KeptAnswer | Failure;

const keyPattern = /^[\x21-\x7e]{1,128}$/;

/**
 * Does the work of a call once per key, in one transaction with the note of its answer; the same call again gets the same
 * answer. @throws Failure `reused-key`; `invalid-request` for a key that is none; what `work` returns or throws.
 */
export async function once(
  database: Database,
  { principal, key, asked }: KeyedCall,
  work: (transaction: Queryable) => Promise<Worked>,
): Promise<Answer> {
  const call = key === undefined ? undefined : callOf(principal, key, asked);
  const worked = await database.transaction(async (transaction) => {
    const earlier = call === undefined ? undefined : await takeKey(transaction, call);
    if (earlier !== undefined) return { ...earlier, isRepeated: true };
    const answer = await work(transaction);
    if (call !== undefined) {
      if (answer instanceof Failure) await freeKey(transaction, call);
      else await keepAnswer(transaction, call, answer);
    }
    return answer instanceof Failure ? answer : { ...answer, isRepeated: false };
  });
  if (worked instanceof Failure) throw worked;
  return worked;
}

function callOf(principal: Principal, key: string, asked: unknown): CallKey {
  if (!keyPattern.test(key)) {
    const text = 'header.idempotency-key: must be 1 to 128 characters of printable ASCII without blanks';
    throw new Failure('invalid-request', text, { facts: { field: 'header.idempotency-key' } });
  }
  // one actor may come with tokens of several customers or roles: an answer is for those it was given to
  const { role, customerId } = principal;
  return { actor: actorOf(principal), key, requestHash: hashOfData({ role, customerId, asked }) };
}
