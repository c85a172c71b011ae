import { parseArgs } from 'node:util';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Environment, parseConfig } from '#shared/runtime/config.ts';
import { openPlatformDatabase } from '#shared/runtime/platform-database.ts';
import { platformDatabase } from '#shared/runtime/rows.ts';
import type { ExitCode } from './client/failures.ts';
import { clientHelp, clientWords, isClientCommand } from './client/program.ts';
import { runClient } from './client/run.ts';
import { type Call, commands, findCommand, help } from './commands.ts';
import { runPlatform } from './platform/main.ts';
import { type Done, processScreen, type Screen } from './screen.ts';
import { takeSettings } from './settings-file.ts';

type Wanted = NonNullable<ReturnType<typeof findCommand>> & Pick<Call, 'options' | 'untilMs'>;

/** Options of all commands, as the parser takes them; which command takes which is looked at afterwards. */
const parserOptions = Object.fromEntries(
  [...new Set(['json', 'help', ...commands.flatMap(({ options = [] }) => options)])].map((name) =>
    name.endsWith('=') ? [name.slice(0, -1), { type: 'string' as const }] : [name, { type: 'boolean' as const }],
  ),
);

/** @throws TypeError that says what is wrong with the call. */
function parseCall(args: readonly string[]): Wanted | 'help' {
  const parsed = parseArgs({ args: [...args], options: parserOptions, allowPositionals: true });
  const { json: _json, help: wantsHelp, ...options } = parsed.values as Call['options'];
  if (wantsHelp === true) return 'help';
  const found = findCommand(parsed.positionals);
  if (found === undefined)
    throw new TypeError(`There is no command "${parsed.positionals.join(' ')}", or not with these operands.`);
  const { words, options: known = [] } = found.command;
  const strange = Object.keys(options).find((name) => !known.includes(name) && !known.includes(`${name}=`));
  if (strange !== undefined) throw new TypeError(`"${words}" has no option --${strange}.`);
  const seconds = options['wait-seconds'];
  if (seconds !== undefined && !/^\d{1,6}$/.test(String(seconds))) {
    throw new TypeError('--wait-seconds takes a number of seconds.');
  }
  const waitMs = seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1_000;
  return { ...found, options, untilMs: performance.now() + waitMs };
}

/** The program. Returns its exit code, see the usage. */
export async function runFleet(given: readonly string[], from: Environment, screen: Screen): Promise<ExitCode> {
  try {
    const { args, env } = takeSettings(given, from);
    if (goesOverApi(args, env)) {
      return await runClient(args, { env, screen, others: [...commands.map(({ words }) => words), 'platform'] });
    }
    return await runCommand(args, env, screen);
  } catch (caught) {
    screen.printError(asFailure(caught).message);
    return 2;
  }
}

/**
 * Most commands are had in one way only. The few that are had in both go straight to the records where these are named in the
 * settings, as for whoever makes the first key.
 */
function goesOverApi(args: readonly string[], env: Environment): boolean {
  const [noun = '', verb = ''] = args.filter((arg) => !arg.startsWith('-'));
  if (!clientWords.includes(noun)) return false;
  const isOfRecords = commands.some(({ words }) => words === `${noun} ${verb}`);
  return !isOfRecords || (isClientCommand(noun, verb) && env['PLATFORM_POSTGRES_HOST'] === undefined);
}

async function runCommand(args: readonly string[], env: Environment, screen: Screen): Promise<0 | 1 | 2> {
  // the platform's own backup: other settings, and its own --help
  if (args[0] === 'platform') return await runPlatform(args.slice(1), env, screen);
  const isJson = args.includes('--json');
  const fail = ({ code, message }: Failure): 1 | 2 => {
    const isWrongCall = code === 'misconfigured';
    screen.progress?.(undefined);
    if (isJson) screen.print(JSON.stringify({ error: { code, message } }));
    screen.printError(isWrongCall ? `${message}\nSee npm run fleet -- --help.` : message);
    return isWrongCall ? 2 : 1;
  };
  let call: Wanted | 'help';
  try {
    call = parseCall(args);
  } catch (cause) {
    return fail(new Failure('misconfigured', cause instanceof Error ? cause.message : String(cause), { cause }));
  }
  if (call === 'help') {
    screen.print(`${clientHelp()}\nStraight on the records, or by events:\n\n${help}`);
    return 0;
  }
  try {
    const { json, lines, isDone = true } = await run(call, env, screen);
    for (const line of isJson ? [JSON.stringify(json)] : lines) screen.print(line);
    return isDone ? 0 : 1;
  } catch (caught) {
    return fail(asFailure(caught));
  }
}

async function run({ command, ...call }: Wanted, env: Environment, screen: Screen): Promise<Done> {
  const database = openPlatformDatabase(parseConfig(platformDatabase, env), {
    applicationName: 'fleet command',
    maxConnections: 1,
    // the statement that meets it reports it
    onError: () => undefined,
  });
  try {
    return await command.run({ ...call, database, env, screen });
  } finally {
    await database.end();
  }
}

if (import.meta.main) process.exitCode = await runFleet(process.argv.slice(2), process.env, processScreen());
