import { readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { catalogue } from '#events/catalogue.ts';
import {
  makeKeyPair,
  readPublicKey,
  type SignatureAlgorithm,
  signatureAlgorithms,
} from '#shared/adapters/eventing/signature-keys.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import {
  findSource,
  insertSourceKey,
  listSources,
  removeSourceKey,
  removeSourceRule,
  type SourceRecords,
  upsertSourceRule,
} from '#shared/adapters/postgres/sources.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { openPlatformDatabase } from '#shared/runtime/platform-database.ts';
import { platformDatabase } from '#shared/runtime/rows.ts';

const help = `Usage: node scripts/sources.ts <command> [options]

Who may send which events. SOURCES_POLICY of the functions says what the rows mean: with "known" a source needs a row,
with "signed" a key as well, with "open" only the sources that have rows are held to them. Functions follow within 5 s.

  list [--source SOURCE]             rows and keys
  allow SOURCE --type TYPE           adds the row of a type, or replaces it; * stands for all types without one
        [--customer ID]              only for instances of this customer
        [--must-sign]                only with a signature, whatever the policy
  forbid SOURCE --type TYPE          removes that row; with "open" a source without rows and keys may say everything
  add-key SOURCE --public-key FILE   adds a key (PEM or JWK) that the source signs with
        [--key-id ID]                its "kid"; without it the JWK's, else the key's RFC 7638 thumbprint
  remove-key SOURCE --key-id ID      removes a key
  make-key --private-key FILE        makes a key pair; the private half goes to a new file that only you can read
        [--public-key FILE]          writes the public half there; without it, it is printed
        [--algorithm ${signatureAlgorithms.join('|')}]   default EdDSA; ES256 where a sender cannot do Ed25519
        FILE may be - to have the private half printed as well

  --json  prints one JSON document, or {"error": {"code", "message"}}
  --help

To replace a key: add the new one, sign with it, remove the old one when nothing signed with it is on its way.
Exit code: 0 done, 1 not done, 2 called wrongly.

Settings, from the environment (not for make-key):
${helpOf(platformDatabase)}`;

const optionTypes = {
  source: { type: 'string' },
  type: { type: 'string' },
  customer: { type: 'string' },
  'must-sign': { type: 'boolean' },
  'public-key': { type: 'string' },
  'private-key': { type: 'string' },
  'key-id': { type: 'string' },
  algorithm: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;
type OptionName = keyof typeof optionTypes;
type Values = Partial<Record<OptionName, string | boolean>>;

/** What a command came to: `json` for programs, `lines` for people. */
type Done = { json: unknown; lines: readonly string[] };
type Command = {
  takesSource: boolean;
  options: readonly OptionName[];
  required: readonly OptionName[];
} & ({ run(call: Call): Promise<Done> } | { runWith(database: Database, call: Call): Promise<Done> });
type Call = { source: string; text(name: OptionName): string | undefined; has(name: OptionName): boolean };

const commands: Readonly<Record<string, Command>> = {
  list: { takesSource: false, options: ['source'], required: [], runWith: list },
  allow: { takesSource: true, options: ['type', 'customer', 'must-sign'], required: ['type'], runWith: allow },
  forbid: { takesSource: true, options: ['type'], required: ['type'], runWith: forbid },
  'add-key': { takesSource: true, options: ['public-key', 'key-id'], required: ['public-key'], runWith: addKey },
  'remove-key': { takesSource: true, options: ['key-id'], required: ['key-id'], runWith: removeKey },
  'make-key': {
    takesSource: false,
    options: ['private-key', 'public-key', 'algorithm'],
    required: ['private-key'],
    run: makeKey,
  },
};

async function list(database: Database, { text }: Call): Promise<Done> {
  const source = text('source');
  const sources =
    source === undefined ? await listSources(database) : new Map([[source, await findSource(database, source)]]);
  const lines = [...sources].flatMap(([name, records]) => linesOf(name, records));
  return {
    json: { sources: [...sources].map(([name, records]) => ({ source: name, ...records })) },
    lines: lines.length === 0 ? ['There are no rows.'] : lines,
  };
}

function linesOf(source: string, { rules, keys }: SourceRecords): string[] {
  return [
    ...rules.map(({ eventType, customerId, mustSign }) => {
      const whose = customerId === null ? '' : `, for customer ${customerId} only`;
      return `${source} may send ${eventType}${mustSign ? ', signed' : ''}${whose}`;
    }),
    ...keys.map(({ keyId }) => `${source} signs with ${keyId}`),
  ];
}

async function allow(database: Database, { source, text, has }: Call): Promise<Done> {
  const eventType = knownType(text('type') ?? '');
  const rule = { eventType, customerId: text('customer') ?? null, mustSign: has('must-sign') };
  const notes = rule.mustSign && (await findSource(database, source)).keys.length === 0 ? ['It has no key yet.'] : [];
  await audited(database, { action: 'source.allow', detail: { source, ...rule } }, async (transaction) => {
    await upsertSourceRule(transaction, source, rule).catch((error: unknown) => {
      const isUnknown = error instanceof Failure && error.facts['constraint'] === 'sources_customer_id_fkey';
      throw isUnknown ? new Failure('not-found', `There is no customer ${rule.customerId}.`) : error;
    });
  });
  return { json: { source, rule }, lines: [...linesOf(source, { rules: [rule], keys: [] }), ...notes] };
}

async function forbid(database: Database, { source, text }: Call): Promise<Done> {
  const eventType = text('type') ?? '';
  await audited(database, { action: 'source.forbid', detail: { source, eventType } }, async (transaction) => {
    if (!(await removeSourceRule(transaction, source, eventType))) {
      throw new Failure('not-found', `${source} has no row for ${eventType}.`);
    }
  });
  return { json: { source, eventType }, lines: [`The row of ${source} for ${eventType} is gone.`] };
}

async function addKey(database: Database, { source, text }: Call): Promise<Done> {
  const publicKey = await readFile(text('public-key') ?? '', 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure('invalid-request', `The public key cannot be read (${error.code ?? error.message}).`);
  });
  const given = text('key-id');
  const { keyId, algorithm } = readPublicKey(publicKey, given === undefined ? {} : { keyId: given });
  await audited(database, { action: 'source.add-key', detail: { source, keyId } }, async (transaction) => {
    if (!(await insertSourceKey(transaction, source, { keyId, publicKey: publicKey.trim() }))) {
      throw new Failure('invalid-request', `${source} has another key ${keyId}: choose another --key-id.`);
    }
  });
  return { json: { source, keyId, algorithm }, lines: [`${source} may sign with ${keyId} (${algorithm}).`] };
}

async function removeKey(database: Database, { source, text }: Call): Promise<Done> {
  const keyId = text('key-id') ?? '';
  await audited(database, { action: 'source.remove-key', detail: { source, keyId } }, async (transaction) => {
    if (!(await removeSourceKey(transaction, source, keyId))) {
      throw new Failure('not-found', `${source} has no key ${keyId}.`);
    }
  });
  return { json: { source, keyId }, lines: [`Key ${keyId} of ${source} is gone.`] };
}

async function makeKey({ text }: Call): Promise<Done> {
  const algorithm = signatureAlgorithms.find((one) => one === (text('algorithm') ?? 'EdDSA'));
  if (algorithm === undefined) throw wrongCall(`--algorithm is one of ${signatureAlgorithms.join(', ')}.`);
  const { keyId, privateKey, publicKey } = makeKeyPair(algorithm satisfies SignatureAlgorithm);
  const [privateFile = '', publicFile] = [text('private-key'), text('public-key')];
  if (privateFile !== '-') await writeNew(privateFile, privateKey, 0o600);
  if (publicFile !== undefined) await writeNew(publicFile, publicKey, 0o644);
  const printed = privateFile === '-' ? { privateKey } : {};
  return {
    json: { keyId, algorithm, publicKey, ...printed },
    lines: [
      `Key id: ${keyId}`,
      ...(publicFile === undefined ? [publicKey.trim()] : []),
      ...(privateFile === '-' ? [privateKey.trim()] : []),
    ],
  };
}

/** A change and its entry in the audit, or neither. */
async function audited(
  database: Database,
  entry: { action: string; detail: Record<string, unknown> },
  change: (transaction: Queryable) => Promise<void>,
): Promise<void> {
  await database.transaction(async (transaction) => {
    await change(transaction);
    await appendAudit(transaction, { actor: `operator ${userInfo().username}`, ...entry });
  });
}

function knownType(type: string): string {
  if (type.startsWith('dev.knative.')) throw wrongCall('Events of Knative itself need no row.');
  if (type === '*' || catalogue.some((definition) => definition.type === type)) return type;
  throw wrongCall(`The event type ${JSON.stringify(type)} is not in the catalogue.`);
}

/** Never over an existing file: a private key that is lost cannot be had back. */
async function writeNew(path: string, content: string, mode: number): Promise<void> {
  await writeFile(path, content, { flag: 'wx', mode }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EEXIST' ? 'the file is there already' : (error.code ?? error.message);
    throw new Failure('invalid-request', `The key cannot be written to ${path}: ${why}.`);
  });
}

const wrongCall = (text: string) => new Failure('misconfigured', text);

/** Reads the command line. @throws Failure `misconfigured` that says what is wrong with it. */
function parseCall(args: readonly string[]): { command: Command; call: Call; values: Values } | 'help' {
  let parsed: { values: Values; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options: optionTypes, allowPositionals: true });
  } catch (error) {
    throw wrongCall(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help === true) return 'help';
  const [name = '', ...rest] = positionals;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw wrongCall(`The command is one of ${Object.keys(commands).join(', ')}.`);
  if (rest.length !== (command.takesSource ? 1 : 0)) {
    throw wrongCall(`${name} takes ${command.takesSource ? 'one source' : 'no further words'}.`);
  }
  const odd = (Object.keys(values) as OptionName[]).find((one) => one !== 'json' && !command.options.includes(one));
  if (odd !== undefined) throw wrongCall(`${name} has no option --${odd}.`);
  const missing = command.required.find((one) => values[one] === undefined || values[one] === '');
  if (missing !== undefined) throw wrongCall(`${name} needs --${missing}.`);
  const text = (one: OptionName) => (typeof values[one] === 'string' ? values[one] : undefined);
  return { command, values, call: { source: rest[0] ?? '', text, has: (one) => values[one] === true } };
}

async function run(command: Command, call: Call, env: Environment): Promise<Done> {
  if ('run' in command) return await command.run(call);
  const config = parseConfig(platformDatabase, env);
  const database = openPlatformDatabase(config, {
    applicationName: 'fleet sources',
    maxConnections: 1,
    // the statement that meets it reports it
    onError: () => undefined,
  });
  try {
    return await command.runWith(database, call);
  } finally {
    await database.end();
  }
}

/** The program. Returns its exit code. */
export async function runSources(
  args: readonly string[],
  env: Environment,
  { print, printError }: { print(line: string): void; printError(line: string): void },
): Promise<0 | 1 | 2> {
  try {
    const parsed = parseCall(args);
    if (parsed === 'help') {
      print(help);
      return 0;
    }
    const { json, lines } = await run(parsed.command, parsed.call, env);
    if (parsed.values.json === true) print(JSON.stringify(json));
    else for (const line of lines) print(line);
    return 0;
  } catch (caught) {
    const { code, message } = asFailure(caught);
    if (args.includes('--json')) print(JSON.stringify({ error: { code, message } }));
    printError(code === 'misconfigured' ? `${message}\nSee node scripts/sources.ts --help.` : message);
    return code === 'misconfigured' ? 2 : 1;
  }
}

if (import.meta.main) {
  process.exitCode = await runSources(process.argv.slice(2), process.env, {
    print: console.log,
    printError: console.error,
  });
}
