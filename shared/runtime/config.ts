import { readFileSync } from 'node:fs';
import { Failure } from '#shared/domain/failure.ts';
import { knownSecrets } from './known-secrets.ts';

/** Reads one value. Says what to write when it cannot. */
export type ValueReader<Value> = {
  /** What a right value looks like, for messages and the help text. */
  wanted: string;
  /** The value, or undefined when the text is not one. */
  read(text: string): Value | undefined;
};

/** One thing that may be configured. */
export type ConfigRow<Value> = {
  name: string;
  /** Tried in order when `name` is not set: names that platforms give (Knative's `K_SINK`). */
  alsoNamed: readonly string[];
  reader: ValueReader<Value>;
  /** The value when nothing is set; `required` when there must be something. */
  fallback: { value: Value } | 'required';
  summary: string;
  /** The value is read from the file that the variable `<name>_FILE` names; the plain variable is refused. */
  isSecret: boolean;
};

/** Rows by the name their value has in the program. */
export type ConfigRows = Readonly<Record<string, ConfigRow<unknown>>>;
export type Config<Rows extends ConfigRows> = {
  readonly [Key in keyof Rows]: Rows[Key] extends ConfigRow<infer Value> ? Value : never;
};
export type Environment = Readonly<Record<string, string | undefined>>;

/** A row with a default; `undefined` makes it optional. */
export function row<Value, const Fallback extends Value | undefined = Value>(
  name: string,
  reader: ValueReader<Value>,
  fallback: Fallback,
  summary: string,
): ConfigRow<Value | Fallback> {
  return { name, reader, fallback: { value: fallback }, summary, alsoNamed: [], isSecret: false };
}

/** A row that must be set. */
export function requiredRow<Value>(
  name: string,
  reader: ValueReader<Value>,
  summary: string,
  options: { alsoNamed?: readonly string[] } = {},
): ConfigRow<Value> {
  return { name, reader, fallback: 'required', summary, alsoNamed: options.alsoNamed ?? [], isSecret: false };
}

/** A secret: `<name>_FILE` names the file that holds it. A required one fails without; the other is undefined. */
export function secretRow(name: string, summary: string): ConfigRow<string>;
export function secretRow(name: string, summary: string, options: { optional: true }): ConfigRow<string | undefined>;
export function secretRow(
  name: string,
  summary: string,
  options: { optional?: boolean } = {},
): ConfigRow<string | undefined> {
  const fallback = options.optional === true ? { value: undefined } : ('required' as const);
  return { name, reader: text(), fallback, summary, alsoNamed: [], isSecret: true };
}

/** Checks the rows themselves (each variable named once) and gives them back with their types. */
export function defineConfig<const Rows extends ConfigRows>(rows: Rows): Rows {
  const names = Object.values(rows).map((one) => one.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Failure('internal', `Two rows of the configuration are named ${twice}.`);
  return rows;
}

/**
 * The configuration as one typed object. Secrets are made known to the log's scrubber as they are read.
 * @throws Failure `misconfigured` that lists every mistake at once: the name, what is wrong, what to write.
 */
export function parseConfig<Rows extends ConfigRows>(
  rows: Rows,
  env: Environment,
  options: { readFile?: (path: string) => string } = {},
): Config<Rows> {
  const readFile = options.readFile ?? ((path) => readFileSync(path, 'utf8'));
  const mistakes: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, one] of Object.entries(rows)) {
    const found = one.isSecret ? findSecret(one, env, readFile) : findPlain(one, env);
    if ('mistake' in found) mistakes.push(found.mistake);
    else config[key] = found.value;
  }
  if (mistakes.length > 0) {
    const list = mistakes.map((mistake) => `\n  ${mistake}`).join('');
    throw new Failure('misconfigured', `The configuration has ${counted(mistakes.length)}:${list}`);
  }
  return config as Config<Rows>;
}

/** One line per row, for `--help` and for the documentation. */
export function helpOf(rows: ConfigRows): string {
  const lines = Object.values(rows).map((one) => {
    const names = [one.isSecret ? `${one.name}_FILE` : one.name, ...one.alsoNamed].join(' or ');
    const wanted = one.isSecret ? 'path of a file with the secret' : one.reader.wanted;
    return `${names}\n    ${one.summary}\n    ${wanted}; ${fallbackText(one)}`;
  });
  return `${lines.join('\n')}\n`;
}

type Found = { value: unknown } | { mistake: string };

function findPlain(one: ConfigRow<unknown>, env: Environment): Found {
  const name = [one.name, ...one.alsoNamed].find((candidate) => isSet(env[candidate]));
  if (name === undefined) return fallbackOf(one, `${one.name} is not set: write ${one.reader.wanted}. ${one.summary}`);
  const value = one.reader.read(env[name] ?? '');
  if (value !== undefined) return { value };
  return { mistake: `${name} is ${shown(env[name] ?? '')}: write ${one.reader.wanted}.` };
}

function findSecret(one: ConfigRow<unknown>, env: Environment, readFile: (path: string) => string): Found {
  const variable = `${one.name}_FILE`;
  if (isSet(env[one.name])) {
    // environment values show in process lists, crash dumps and manifests
    return { mistake: `${one.name} is set as a plain value: put it into a file and write its path to ${variable}.` };
  }
  const path = env[variable];
  if (!isSet(path)) {
    return fallbackOf(one, `${variable} is not set: write the path of a file with the secret. ${one.summary}`);
  }
  try {
    // editors and `echo` end a file with a newline, which is no part of a secret
    const secret = readFile(path).replace(/\r?\n$/, '');
    knownSecrets.add(secret);
    if (secret !== '') return { value: secret };
    return { mistake: `${variable} names the empty file ${path}: write the secret there.` };
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return {
      mistake: `${variable} names ${path}, which cannot be read (${reason}): mount the Secret or mend the path.`,
    };
  }
}

function fallbackOf(one: ConfigRow<unknown>, mistake: string): Found {
  return one.fallback === 'required' ? { mistake } : { value: one.fallback.value };
}

function fallbackText(one: ConfigRow<unknown>): string {
  if (one.fallback === 'required') return 'required';
  return one.fallback.value === undefined
    ? 'optional'
    : `default ${String(one.fallback.value as string | number | boolean)}`;
}

/** Set to nothing counts as not set: manifests often leave an empty value where there is none. */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

/** A wrong value as the message shows it: short, and without the credentials a URL may carry. */
function shown(value: string): string {
  const clean = value.replace(/\/\/[^/@\s]*@/g, '//***@');
  return JSON.stringify(clean.length > 60 ? `${clean.slice(0, 60)}…` : clean);
}

function counted(mistakes: number): string {
  return mistakes === 1 ? 'a mistake' : `${mistakes} mistakes`;
}

export function integer(min: number, max: number): ValueReader<number> {
  return {
    wanted: `a whole number from ${min} to ${max}`,
    read: (value) => {
      const number = /^-?[0-9]{1,15}$/.test(value) ? Number(value) : Number.NaN;
      return number >= min && number <= max ? number : undefined;
    },
  };
}

export function text(options: { pattern?: RegExp; wanted?: string } = {}): ValueReader<string> {
  return {
    wanted: options.wanted ?? 'text',
    read: (value) => (options.pattern === undefined || options.pattern.test(value) ? value : undefined),
  };
}

export function oneOf<const Word extends string>(...words: readonly Word[]): ValueReader<Word> {
  return { wanted: `one of ${words.join(', ')}`, read: (value) => words.find((word) => word === value) };
}

export const trueOrFalse: ValueReader<boolean> = {
  wanted: 'true or false',
  read: (value) => (value === 'true' ? true : value === 'false' ? false : undefined),
};

/** Credentials in a URL are refused: a secret belongs in a file. */
export const httpUrl: ValueReader<string> = {
  wanted: 'an http or https URL without user and password',
  read: (value) => {
    if (!URL.canParse(value)) return undefined;
    const { protocol, username, password } = new URL(value);
    return /^https?:$/.test(protocol) && username === '' && password === '' ? value : undefined;
  },
};
