/** Keys of one page, sorted by their bytes. */
export type KeyPage = {
  keys: readonly string[];
  /** Pass it as `after` to get the next page; undefined on the last one. */
  next: string | undefined;
};

/** What a row of bytes is known by. */
export type Digest = {
  size: number;
  /** Hex. */
  sha256: string;
};

export type PutOptions = {
  /** An object that is there is left as it is. */
  onlyIfNew?: boolean;
  /** Nobody but a holder of the right to bypass governance may delete it before. Ignored where the store has no object lock: `head` tells. */
  lockUntil?: Date;
};

export type WriteOptions = PutOptions & {
  /** Of the content. Other bytes are not written: Failure `damaged`. */
  expected?: { size?: number; sha256?: string };
};

export type Written =
  | {
      outcome: 'written';
      /** What was given. */
      content: Digest;
      /** What lies in the store: something else where it is encrypted. */
      stored: Digest;
    }
  | { outcome: 'exists' };

export type ObjectHead = {
  size: number;
  /** By the store's clock. */
  writtenAt: Date;
  /** undefined: it may be deleted, or the store has no object lock. */
  lockedUntil: Date | undefined;
};

export type ReadObject = {
  /** Of the whole object. */
  size: number;
  /**
   * To be gone through once; leaving the loop closes it. It ends only after the last of them: what comes to an end before
   * throws Failure `unavailable`, or `damaged` where the store has no more.
   */
  bytes: AsyncIterable<Buffer>;
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
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<'written' | 'exists'>;
  /**
   * Writes an object of any size as its bytes come; the memory it takes does not depend on the size. Else as `put`.
   * What the source throws is thrown as it is, and nothing is written. The source is read to its end or closed.
   */
  write(key: string, bytes: AsyncIterable<Uint8Array>, options?: WriteOptions): Promise<Written>;
  /** undefined: there is no such object. */
  get(key: string): Promise<Buffer | undefined>;
  /**
   * As `get`, for an object of any size. `from`: so many bytes of it are left out at the beginning, without being read.
   * @throws Failure `invalid-request` as well, when the object has no byte there.
   */
  read(key: string, options?: { from?: number }): Promise<ReadObject | undefined>;
  /** undefined: there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>;
  /** At most `limit` (1,000) keys that begin with `prefix` and come after the key `after`, which need not be there. */
  list(options: { prefix: string; after?: string | undefined; limit?: number }): Promise<KeyPage>;
  /**
   * What is not there is removed already.
   * @throws Failure `not-allowed` as well: these credentials may not delete, or the object is locked.
   */
  remove(key: string): Promise<void>;
};
