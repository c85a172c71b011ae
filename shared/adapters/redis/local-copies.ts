/** A place for one copy: empty until it is filled, and out of use as soon as its key is forgotten. */
export type Place = { key: string; text: string | undefined; until: number };

/** Copies in this process' memory: a bounded number, each for a bounded time. */
export type LocalCopies = {
  /** A copy of the caller's own; undefined when there is none that is young enough. */
  find(key: string): { value: unknown } | undefined;
  /** To be taken before the value is read: what is read then may be filled in unless the key is forgotten meanwhile. */
  reserve(key: string): Place;
  /** For no longer than the value is fresh. A place that is out of use stays so. */
  fill(place: Place, text: string, options: { freshForMs: number }): void;
  forget(key: string): void;
  /** All keys that begin so. */
  forgetAll(prefix: string): void;
};

/** What was used last stays longest. `ttlMs` 0 keeps nothing. */
export function openLocalCopies(options: { maxEntries: number; ttlMs: number; now?: () => number }): LocalCopies {
  const { maxEntries, ttlMs, now = () => performance.now() } = options;
  // a Map gives its keys in the order in which they were set
  const places = new Map<string, Place>();

  return {
    find(key) {
      const place = places.get(key);
      if (place?.text === undefined || place.until <= now()) return undefined;
      places.delete(key);
      places.set(key, place);
      return { value: JSON.parse(place.text) as unknown };
    },
    reserve(key) {
      const there = places.get(key);
      const time = now();
      // Who reads the same at the same time shares the place, and its end: the one who asked first.
      if (there !== undefined && there.text === undefined && there.until > time) return there;
      const place = { key, text: undefined, until: time + ttlMs };
      if (ttlMs <= 0) return place;
      places.delete(key);
      places.set(key, place);
      if (places.size > maxEntries) {
        for (const oldest of places.keys()) {
          places.delete(oldest);
          break;
        }
      }
      return place;
    },
    fill(place, text, { freshForMs }) {
      if (places.get(place.key) !== place) return;
      place.text = text;
      place.until = Math.min(place.until, now() + freshForMs);
    },
    forget(key) {
      places.delete(key);
    },
    forgetAll(prefix) {
      for (const key of places.keys()) if (key.startsWith(prefix)) places.delete(key);
    },
  };
}
