// Shorter ones would blank out ordinary words; no secret we make or accept is that short.
const minLength = 6;
const replacement = '[secret]';

/** Values that must never be written anywhere. The log scrubs every line with them. */
export type KnownSecrets = {
  /** Remembers a value, as itself and as it looks in JSON, in a URL and in base64. */
  add(value: string): void;
  /** The text with every known value replaced. */
  scrub(text: string): string;
};

export function makeKnownSecrets(options: { max?: number } = {}): KnownSecrets {
  // A process that makes many instances would collect for ever; the oldest are forgotten.
  const max = options.max ?? 500;
  const forms = new Map<string, readonly string[]>();
  let pattern: RegExp | undefined;

  const rebuild = () => {
    const all = [...new Set([...forms.values()].flat())].sort((a, b) => b.length - a.length);
    pattern = all.length === 0 ? undefined : new RegExp(all.map(escapePattern).join('|'), 'g');
  };
  return {
    add(value) {
      if (value.length < minLength || forms.has(value)) return;
      const oldest = forms.size >= max ? forms.keys().next().value : undefined;
      if (oldest !== undefined) forms.delete(oldest);
      forms.set(value, formsOf(value));
      rebuild();
    },
    scrub: (text) => (pattern === undefined ? text : text.replace(pattern, replacement)),
  };
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
