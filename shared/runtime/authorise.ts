import { type Verdict, verifySignature } from '#shared/adapters/eventing/signature.ts';
import { readPublicKey, type SignatureKey } from '#shared/adapters/eventing/signature-keys.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { findSource, type SourceKey, type SourceRecords, type SourceRule } from '#shared/adapters/postgres/sources.ts';
import { Failure } from '#shared/domain/failure.ts';
import { briefMemory } from './brief-memory.ts';

/**
 * Who may say what. `open`: a source without rows may say everything, one with rows is held to them. `known`: every
 * type needs a row of its source. `signed`: and a valid signature by a key of its source, whatever the row says.
 */
export type SourcesPolicy = 'open' | 'known' | 'signed';

/** What the sender of an event may do with it. */
export type Authority = {
  /** The source speaks for this customer only: an instance of somebody else is to be refused. Null: for everybody. */
  customerId: string | null;
};

/** The part of an event that is looked at. */
export type ClaimedEvent = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly extensions: Readonly<Record<string, string>>;
  readonly dataHash: Buffer;
};

/**
 * @throws Failure `not-allowed`; `unavailable` when the rules cannot be read, `misconfigured` when they make no sense: the
 * event is delivered again.
 */
export type Authorise = (event: ClaimedEvent) => Promise<Authority>;

/** Added keys and rules count at once, because a refusal looks again; removed ones still count for this long. */
const rulesKeptMs = 5_000;
const sourcesKept = 1_000;

/** What is known of a source, ready to be asked. */
type Source = {
  readonly isKnown: boolean;
  readonly rules: ReadonlyMap<string, SourceRule>;
  readonly keys: ReadonlyMap<string, SignatureKey>;
};

/**
 * Decides by the rows of `sources` and `source_keys` whether an event may be handled at all, and for whom.
 *
 * Knative's own events (`dev.knative.`: ticks, changes of cluster objects) pass: neither of its sources can sign, and
 * they command nothing. They make us look at the cluster and the records sooner than the next tick would; `observe` takes
 * the observed status from them, which whoever reaches the broker can so make wrong for a while.
 */
export function authoriseBy(
  database: Queryable,
  policy: SourcesPolicy,
  options: { nowMs?: () => number } = {},
): Authorise {
  const read = (source: string) => readSource(database, source);
  const memory = briefMemory(read, { keptMs: rulesKeptMs, maxEntries: sourcesKept, ...options });

  return async (event) => {
    if (event.type.startsWith('dev.knative.')) return { customerId: null };
    const known = memory.get(event.source);
    const remembered = await judge(policy, event, await known.value);
    if (remembered.isAllowed) return { customerId: remembered.customerId };
    // A refusal is for good, so it is never told from memory: a row may have been added a moment ago.
    const now = known.isRemembered ? await judge(policy, event, await memory.refresh(event.source)) : remembered;
    if (now.isAllowed) return { customerId: now.customerId };
    throw new Failure('not-allowed', now.reason);
  };
}

type Judgement = { isAllowed: true; customerId: string | null } | { isAllowed: false; reason: string };

/** Decides from its arguments alone; no clock is asked. */
async function judge(policy: SourcesPolicy, event: ClaimedEvent, source: Source): Promise<Judgement> {
  const rule = source.rules.get(event.type) ?? source.rules.get('*');
  if (rule === undefined) {
    if (policy === 'open' && !source.isKnown) return { isAllowed: true, customerId: null };
    const what = `${event.source} may not send ${event.type} here`;
    return { isAllowed: false, reason: `${what}. Whoever runs the platform allows it: see scripts/sources.ts.` };
  }
  const { customerId } = rule;
  if (policy !== 'signed' && !rule.mustSign) return { isAllowed: true, customerId };
  const verdict = await verify(event, source.keys);
  if (verdict.valid) return { isAllowed: true, customerId };
  return { isAllowed: false, reason: `${event.type} of ${event.source} must be signed: ${verdict.reason}.` };
}

async function verify(event: ClaimedEvent, keys: Source['keys']): Promise<Verdict> {
  const signature = event.extensions['signature'];
  if (signature === undefined) return { valid: false, reason: 'it has no attribute "signature"' };
  return await verifySignature(event, signature, keys);
}

async function readSource(database: Queryable, source: string): Promise<Source> {
  let records: SourceRecords;
  try {
    records = await findSource(database, source);
  } catch (cause) {
    // whatever the reason: an event that cannot be judged is neither let in nor refused for good
    throw new Failure('unavailable', 'It cannot be read who may say what; the event is not looked at.', { cause });
  }
  return {
    isKnown: records.rules.length + records.keys.length > 0,
    rules: new Map(records.rules.map((rule) => [rule.eventType, rule])),
    keys: new Map(records.keys.map((key) => [key.keyId, readKey(source, key)])),
  };
}

function readKey(source: string, { keyId, publicKey }: SourceKey): SignatureKey {
  try {
    return readPublicKey(publicKey, { keyId });
  } catch (cause) {
    // no fault of the event: it comes again and is dead-lettered, not refused
    const text = `Key ${keyId} of ${source} cannot be used. Remove it and add the right one: see scripts/sources.ts.`;
    throw new Failure('misconfigured', text, { cause });
  }
}
