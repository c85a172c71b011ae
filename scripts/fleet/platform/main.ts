import { parseArgs } from 'node:util';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { backup, check, type Done, list, restore, type Surroundings } from './commands.ts';
import { rebuildRows, runRebuild } from './rebuild/run.ts';
import { platformRows } from './settings.ts';

const help = `Usage: platform <command> [options]

Backs up the platform's own database, and brings it back.

  platform backup             dumps the database into the store, encrypted, with a signed manifest
  platform list               the backups in the store, newest first
  platform check [BACKUP]     reads the newest one, or this one, to its end: is it whole, and does the key ring open it?
                              --keys FILE: with this ring, such as the copy in the safe; else with BACKUP_KEYS_FILE
                              --max-age MINUTES: an older one is exit code 1, for whatever watches this
  platform restore [BACKUP]   into an empty database, which takes no writes until it was rebuilt
  platform rebuild            puts restored records right by what the cluster, the servers and the store say of the time
                              since, and lets functions write again when nothing is left for a person to look at
                              --trial: says what it would do, and writes nothing
                              --open: lets them write whatever is left to look at
                              --forget-missing-backups: good ones whose manifest is not in the store were removed since

  --json   prints one JSON document, or {"error": {"code", "message"}}
  --help

The key ring is in no backup: keep a copy of the file where no disaster reaches both, and check with it.
Exit code: 0 done, 1 not done, 2 called wrongly.

Settings, from the environment; the last ones are for rebuild only:
${helpOf(rebuildRows)}`;

export type Screen = { print(line: string): void; printError(line: string): void };

type Options = {
  trial: boolean;
  open: boolean;
  forgetsMissing: boolean;
  keys: string | undefined;
  maxAge: string | undefined;
};
type Command = (env: Environment, surroundings: Surroundings) => Promise<Done>;

function commandOf(positionals: readonly string[], options: Options): Command {
  const { trial, open, forgetsMissing, keys, maxAge } = options;
  const [verb, id, ...more] = positionals;
  const isAlone = id === undefined;
  if (
    more.length === 0 &&
    ((keys ?? maxAge) === undefined || verb === 'check') &&
    (!(trial || open || forgetsMissing) || verb === 'rebuild')
  ) {
    const simple = (env: Environment) => parseConfig(platformRows, env);
    if (verb === 'backup' && isAlone) return (env, surroundings) => backup(simple(env), surroundings);
    if (verb === 'list' && isAlone) return (env) => list(simple(env));
    if (verb === 'check') {
      const options = { id, keysFile: keys, maxAgeMinutes: minutesOf(maxAge) };
      return (env, surroundings) => check(simple(env), surroundings, options);
    }
    if (verb === 'restore') return (env, surroundings) => restore(simple(env), surroundings, { id });
    if (verb === 'rebuild' && isAlone) {
      const how = { isTrial: trial, opens: open, forgetsMissing };
      return (env, surroundings) => runRebuild(parseConfig(rebuildRows, env), surroundings, how);
    }
  }
  throw new TypeError('Say "platform backup", "list", "check [BACKUP]", "restore [BACKUP]" or "rebuild".');
}

function minutesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new TypeError(`--max-age is a whole number of minutes, not ${JSON.stringify(text)}.`);
}

/** `args` follow the word `platform`. Returns the exit code, see the usage. */
export async function runPlatform(args: readonly string[], env: Environment, screen: Screen): Promise<0 | 1 | 2> {
  const asJson = args.includes('--json');
  const fail = ({ code, message }: Failure): 1 | 2 => {
    if (asJson) screen.print(JSON.stringify({ error: { code, message } }));
    screen.printError(message);
    return code === 'misconfigured' ? 2 : 1;
  };
  let command: Command;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean' },
        help: { type: 'boolean' },
        trial: { type: 'boolean', default: false },
        open: { type: 'boolean', default: false },
        'forget-missing-backups': { type: 'boolean', default: false },
        keys: { type: 'string' },
        'max-age': { type: 'string' },
      },
      allowPositionals: true,
    });
    if (values.help === true) {
      screen.print(help);
      return 0;
    }
    command = commandOf(positionals, {
      trial: values.trial,
      open: values.open,
      forgetsMissing: values['forget-missing-backups'],
      keys: values.keys,
      maxAge: values['max-age'],
    });
  } catch (cause) {
    return fail(new Failure('misconfigured', cause instanceof Error ? cause.message : String(cause), { cause }));
  }
  const interrupt = new AbortController();
  const stop = () => interrupt.abort(new Failure('cancelled', 'Ended as asked; nothing counts that was not finished.'));
  process.once('SIGTERM', stop).once('SIGINT', stop);
  try {
    const { json, lines } = await command(env, { signal: interrupt.signal, say: screen.printError });
    for (const line of asJson ? [JSON.stringify(json)] : lines) screen.print(line);
    return 0;
  } catch (caught) {
    return fail(asFailure(caught));
  } finally {
    process.off('SIGTERM', stop).off('SIGINT', stop);
  }
}

if (import.meta.main) {
  // as a program of its own it may be called with or without the word
  const [first, ...rest] = process.argv.slice(2);
  process.exitCode = await runPlatform(first === 'platform' ? rest : process.argv.slice(2), process.env, {
    print: console.log,
    printError: console.error,
  });
}
