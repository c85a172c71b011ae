/** One try of a staging copy to reach the world. Whom it was for and what it said is not kept: that is a customer's. */
export type Attempt = {
  /** ISO 8601. */
  at: string;
  way: 'mail' | 'http';
  /** The copy that tried, as it said itself; null when it did not, or said no instance's id. */
  instance: string | null;
  /** The host it asked for; of a mail how many it was for. */
  to: string;
};

export type Attempts = {
  record(attempt: Omit<Attempt, 'at'>): void;
  /** The latest ones, oldest first. */
  latest(): readonly Attempt[];
  /** Since the start. */
  counts(): Readonly<Record<Attempt['way'], number>>;
};

const kept = 1_000;

/** Keeps count of attempts, and tells each one to `tell`. */
export function countAttempts(tell: (attempt: Attempt) => void, clock = () => new Date()): Attempts {
  const list: Attempt[] = [];
  const counts = { mail: 0, http: 0 };
  return {
    record(seen) {
      const attempt = { at: clock().toISOString(), ...seen };
      counts[attempt.way] += 1;
      list.push(attempt);
      if (list.length > kept) list.shift();
      tell(attempt);
    },
    latest: () => [...list],
    counts: () => ({ ...counts }),
  };
}

/** What a copy says it is, if that can be one's id. */
export function instanceOf(said: string | undefined): string | null {
  return said !== undefined && /^[a-z2-7]{12}$/.test(said) ? said : null;
}

/** A host for a log line: of what cannot be one, that. */
export function hostOf(said: string | undefined): string {
  return said !== undefined && /^[\w.:[\]-]{1,253}$/.test(said) ? said : 'an unreadable address';
}

/** User of an HTTP or SMTP login, from base64 of `user:password` or of NUL-parted fields. */
export function userOf(base64: string, parting: ':' | '\0'): string | undefined {
  const parts = Buffer.from(base64, 'base64').toString().split(parting);
  return parting === ':' ? parts[0] : parts[1];
}
