import { Argument, Command, CommanderError } from 'commander';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { Environment } from '#shared/runtime/config.ts';
import type { Screen } from '../screen.ts';
import { databaseServers, deadLetters, keys } from './administration.ts';
import { type Api, openApi } from './api.ts';
import { backups } from './backups.ts';
import { addCommand, addGroup, type Result, type Runner } from './command.ts';
import { bashCompletion } from './completion.ts';
import { doctor } from './doctor.ts';
import { type ExitCode, exitCodeOf } from './failures.ts';
import { instances } from './instances.ts';
import { operations } from './operations.ts';
import { painted, plain } from './paint.ts';
import { readAccess } from './settings.ts';

const groups = [instances, operations, backups, deadLetters, databaseServers, keys];

/** First words that lead to the API. */
export const clientWords: readonly string[] = [...groups.map(({ noun }) => noun), 'doctor', 'completion'];

/** Does the API have this command? */
export function isClientCommand(noun: string, verb: string): boolean {
  const group = groups.find((one) => one.noun === noun);
  if (group === undefined) return clientWords.includes(noun);
  return group.commands.some(({ usage }) => usage.split(' ')[0] === verb);
}

const epilogue = `
Settings: FLEET_URL and FLEET_TOKEN, or {"url", "token"} in ~/.config/odoo-fleet/config.json with mode 600.
Exit code: 0 done, or accepted and not watched; 1 failed; 2 called wrongly; 3 the API is not reached; 4 refused.`;

/** The program with its commands; what it says by itself goes to `say`. */
function programOf(runner: Runner, others: readonly string[], say: (text: string) => void): Command {
  const program = new Command('fleet')
    .description('Odoo instances, over the API.')
    .option('--json', 'prints one JSON document, or {"error": {"code", "message"}}')
    .configureOutput({ writeOut: say, writeErr: say })
    .exitOverride()
    .helpCommand(false)
    .addHelpText('after', epilogue);
  for (const group of groups) addGroup(program, group, runner);
  addCommand(program, doctor, runner);
  const completion = {
    usage: 'completion',
    says: 'the script that completes commands: source <(fleet completion bash)',
    run: async () => {
      const script = bashCompletion(program, others);
      return { json: { script }, lines: script.split('\n') };
    },
  };
  addCommand(program, completion, runner);
  program.commands.at(-1)?.addArgument(new Argument('<shell>', 'whose it is').choices(['bash']));
  return program;
}

/** What the program can do over the API, for people. */
export function clientHelp(): string {
  const silent = () => undefined;
  return `${programOf(async () => undefined, [], silent).helpInformation()}${epilogue}\n`;
}

/** Runs a command over the API. `others`: commands of the same program that are completed as well. */
export async function runClient(
  args: readonly string[],
  { env, screen, others }: { env: Environment; screen: Screen; others: readonly string[] },
): Promise<ExitCode> {
  const isJson = args.includes('--json');
  let said = '';
  let api: Api | undefined;
  let result: Result | undefined;
  const open = () => (api ??= openApi(readAccess(env)));
  const runner: Runner = async (definition, operands, options) => {
    result = await definition.run({ operands, options, env, screen, api: open });
  };
  const print = (line: string) => screen.print(screen.hasColours === true ? painted(plain(line)) : plain(line));
  try {
    await programOf(runner, others, (text) => {
      said += text;
    }).parseAsync([...args], { from: 'user' });
    if (result === undefined) return 0;
    const { json, lines, isDone = true, exitCode = isDone ? 0 : 1 } = result;
    for (const line of isJson ? [JSON.stringify(json)] : lines) print(line);
    return exitCode;
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) {
      screen.print(said.trimEnd());
      return 0;
    }
    const failure = failureFor(caught, said);
    screen.progress?.(undefined);
    if (isJson) print(JSON.stringify({ error: { code: failure.code, message: failure.message } }));
    for (const line of failure.message.split('\n')) screen.printError(plain(line));
    return exitCodeOf(failure);
  } finally {
    await api?.close();
  }
}

/** A wrong call in the words of the parser; whatever else was thrown, as it is. */
function failureFor(caught: unknown, said: string): Failure {
  if (!(caught instanceof CommanderError)) return asFailure(caught);
  const text = said.replace(/^error: /, '').trim();
  return new Failure('misconfigured', `${text === '' ? caught.message : text}\nSee "fleet --help".`, { cause: caught });
}
