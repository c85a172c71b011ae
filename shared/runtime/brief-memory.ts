/** Values by key that are read when they are asked for and remembered for a moment. */
export type BriefMemory<Value> = {
  /** The value, and whether its reading began before this call. Those who ask meanwhile share one reading. */
  get(key: string): { value: Promise<Value>; isRemembered: boolean };
  /** Reads it anew, for this caller and those who come after. */
  refresh(key: string): Promise<Value>;
};

export type BriefMemoryOptions = {
  /** Counted from the beginning of the reading. */
  keptMs: number;
  /** The oldest makes room: keys that others make up must not fill the process. */
  maxEntries: number;
  /** Of a clock that nobody sets. */
  nowMs?: () => number;
};

/** A reading that fails is not remembered: the next one who asks reads again. */
export function briefMemory<Value>(
  read: (key: string) => Promise<Value>,
  options: BriefMemoryOptions,
): BriefMemory<Value> {
  const { keptMs, maxEntries, nowMs = () => performance.now() } = options;
  const entries = new Map<string, { value: Promise<Value>; untilMs: number }>();

  function refresh(key: string): Promise<Value> {
    const entry = { value: read(key), untilMs: nowMs() + keptMs };
    // taken out first: the order of the map is the order of the readings
    entries.delete(key);
    entries.set(key, entry);
    const [oldest] = entries.keys();
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest);
    entry.value.catch(() => {
      if (entries.get(key) === entry) entries.delete(key);
    });
    return entry.value;
  }

  return {
    get(key) {
      const entry = entries.get(key);
      if (entry !== undefined && nowMs() < entry.untilMs) return { value: entry.value, isRemembered: true };
      return { value: refresh(key), isRemembered: false };
    },
    refresh,
  };
}
