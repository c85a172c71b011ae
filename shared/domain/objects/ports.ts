/** Keys of one page, sorted by their bytes. */
export type KeyPage = {
  keys: readonly string[];
  /** Pass it as `after` to get the next page; undefined on the last one. */
  next: string | undefined;
};

/**
 * Objects by key: a bucket of an S3 service, or a folder. An object is written whole or not at all, and whoever was told
 * that it is written finds it after any crash.
 *
 * A key is one to eight segments of letters, digits, `-`, `_` and `.`, joined by `/`, at most 512 characters; no segment
 * begins with a dot. Nobody stores both `a` and `a/b`.
 *
 * Every function throws Failure `invalid-request` (a key that is none), `unavailable`, `no-capacity` (full) or
 * `misconfigured` (no access).
 */
export type ObjectStore = {
  /**
   * Writes an object. With `onlyIfNew` an object that is there is left as it is (`exists`): of many writers at once
   * exactly one is told `written`. Without it the last one wins.
   */
  put(key: string, bytes: Uint8Array, options?: { onlyIfNew?: boolean }): Promise<'written' | 'exists'>;
  /** undefined: there is no such object. */
  get(key: string): Promise<Buffer | undefined>;
  /** At most `limit` (1,000) keys that begin with `prefix` and come after the key `after`, which need not be there. */
  list(options: { prefix: string; after?: string | undefined; limit?: number }): Promise<KeyPage>;
  /** What is not there is removed already. */
  remove(key: string): Promise<void>;
};
