// Shorter ones would blank out ordinary words; no secret we make or accept is that short.
const minLength = 6;
const replacement = '[secret]';

/** Values that must never be written anywhere. The log scrubs every line with them. */
export type KnownSecrets = {
  /** Remembers a value for as long as the process lives, as itself and as it looks in JSON, in a URL and in base64. */
  add(value: string): void;
  /** As `add`, of a value of which a process meets ever more: those it has not met for long are forgotten. */
  addPassing(value: string): void;
  /** The text with every known value replaced. */
  scrub(text: string): string;
};

export function makeKnownSecrets(options: { maxPassing?: number } = {}): KnownSecrets {
  const kept = makeGroup();
  const passing = makePassing(options.maxPassing ?? 500);
  return {
    add(value) {
      if (value.length >= minLength) kept.add(value);
    },
    addPassing(value) {
      if (value.length >= minLength && !kept.has(value)) passing.add(value);
    },
    scrub: (text) => {
      const found = [kept, ...passing.groups()].flatMap((group) => group.find(text));
      return found.length === 0 ? text : replaceAll(text, found);
    },
  };
}

/** From the first character to the one after the last. */
type Span = readonly [start: number, end: number];

type Group = {
  readonly size: number;
  has(value: string): boolean;
  add(value: string): void;
  find(text: string): Span[];
};

function makeGroup(): Group {
  const values = new Set<string>();
  let pattern: RegExp | undefined;
  return {
    get size() {
      return values.size;
    },
    has: (value) => values.has(value),
    add(value) {
      if (values.has(value)) return;
      values.add(value);
      pattern = undefined;
    },
    find(text) {
      if (values.size === 0) return [];
      pattern ??= patternOf(values);
      return Array.from(text.matchAll(pattern), ({ 0: match, index }) => [index, index + match.length] as const);
    },
  };
}

function patternOf(values: ReadonlySet<string>): RegExp {
  const all = [...new Set([...values].flatMap(formsOf))].sort((a, b) => b.length - a.length);
  return new RegExp(all.map(escapePattern).join('|'), 'g');
}

/** In small groups, for an added value makes its group's pattern anew; a full one is forgotten as a whole. */
function makePassing(max: number): { add(value: string): void; groups(): readonly Group[] } {
  const perGroup = Math.ceil(max / 10);
  const maxGroups = Math.ceil(max / perGroup);
  let groups: Group[] = [];
  return {
    add(value) {
      // one that is only in an old group would soon be forgotten, and is in use
      if (groups.slice(-Math.ceil(maxGroups / 2)).some((group) => group.has(value))) return;
      const newest = groups.at(-1);
      if (newest === undefined || newest.size >= perGroup) groups = [...groups, makeGroup()].slice(-maxGroups);
      groups.at(-1)?.add(value);
    },
    groups: () => groups,
  };
}

/** Spans of several groups may overlap: what begins inside another is part of it. */
function replaceAll(text: string, spans: readonly Span[]): string {
  let scrubbed = '';
  let done = 0;
  for (const [start, end] of spans.toSorted((a, b) => a[0] - b[0] || b[1] - a[1])) {
    if (start >= done) scrubbed += text.slice(done, start) + replacement;
    done = Math.max(done, end);
  }
  return scrubbed + text.slice(done);
}

/** The secrets of this process: filled by the configuration and by whatever generates or reads one. */
export const knownSecrets = makeKnownSecrets();

function formsOf(value: string): readonly string[] {
  const base64 = Buffer.from(value, 'utf8').toString('base64').replace(/=+$/, '');
  return [...new Set([value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value), base64])];
}

function escapePattern(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
