/** What may be cached, with how long it counts as fresh. A cache decides nothing: who acts on a value reads its source. */
export const cacheTtlMs = {
  instance: 60_000,
  'db-server': 300_000,
  user: 120_000,
  plan: 300_000,
  image: 300_000,
} as const satisfies Record<string, number>;

export type CacheKind = keyof typeof cacheTtlMs;

/** How long a process may give a value after another process has changed it: for so long it keeps copies of its own. */
export const localTtlMs = 1_000;

/** `local`: from this process' own copies. `stale`: given at once while a newer value is being loaded. `bypass`: the cache was not reached, or is being avoided. */
export type CacheResult = 'local' | 'hit' | 'stale' | 'miss' | 'bypass';

/** A value, and where it came from. Of several that waited for one load, each is a `miss`. */
export type CacheRead<T> = { value: T | undefined; result: CacheResult };

/** Copies of rows that are read often. Never a reason for a call to fail, never the source of a decision. */
export type Cache = {
  /**
   * The value of `load`, or a copy of it that is younger than its kind's time (and for a while longer one that is being renewed).
   * A value that another process has changed is given for `localTtlMs` longer at most; one that this process has changed and
   * told of, never. `load` runs at most once at a time in this process. Undefined is not kept. Values are kept as JSON, and
   * nobody's changes to what he was given reach another caller.
   * @throws what `load` throws, and nothing else.
   */
  get<T>(kind: CacheKind, id: string, load: () => Promise<T | undefined>): Promise<T | undefined>;
  /** As `get`, and says what became of this very read. */
  read<T>(kind: CacheKind, id: string, load: () => Promise<T | undefined>): Promise<CacheRead<T>>;
  /**
   * To be called as soon as the commit that changed it has returned. From the call on no reader of this process gets an older
   * value, and once it resolves no reader of another process does after `localTtlMs`; also not one that is loading now.
   */
  invalidate(kind: CacheKind, id: string): Promise<void>;
  /** As `invalidate` for all of a kind. */
  invalidateKind(kind: CacheKind): Promise<void>;
  /** Waits for renewals that were begun, at most `timeoutMs`: nothing may run after the answer. */
  settle(timeoutMs: number): Promise<void>;
};
