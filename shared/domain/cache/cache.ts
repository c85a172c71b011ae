/** What may be cached, with how long it counts as fresh. A cache decides nothing: who acts on a value reads its source. */
export const cacheTtlMs = {
  instance: 60_000,
  'db-server': 300_000,
  user: 120_000,
  plan: 300_000,
  image: 300_000,
} as const satisfies Record<string, number>;

export type CacheKind = keyof typeof cacheTtlMs;

/** `stale`: given at once while a newer value is being loaded. `bypass`: the cache was not reached, or is being avoided. */
export type CacheResult = 'hit' | 'stale' | 'miss' | 'bypass';

/** Copies of rows that are read often. Never a reason for a call to fail, never the source of a decision. */
export type Cache = {
  /**
   * The value of `load`, or a copy of it that is younger than its kind's time (and for a while longer one that is being renewed).
   * `load` runs at most once at a time in this process. Undefined is not kept. Values are kept as JSON.
   * @throws what `load` throws, and nothing else.
   */
  get<T>(kind: CacheKind, id: string, load: () => Promise<T | undefined>): Promise<T | undefined>;
  /** To be called after the commit that changed it: no reader gets an older value afterwards, also one that is loading now. */
  invalidate(kind: CacheKind, id: string): Promise<void>;
  /** As `invalidate` for all of a kind. */
  invalidateKind(kind: CacheKind): Promise<void>;
  /** Waits for renewals that were begun, at most `timeoutMs`: nothing may run after the answer. */
  settle(timeoutMs: number): Promise<void>;
};
