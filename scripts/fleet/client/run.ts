import { CommanderError } from 'commander';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { Environment } from '#shared/runtime/config.ts';
import type { Screen } from '../screen.ts';
import { type Api, openApi } from './api.ts';
import type { Result, Runner } from './command.ts';
import { type ExitCode, exitCodeOf } from './failures.ts';
import { painted, plain } from './paint.ts';
import { programOf } from './program.ts';
import { readAccess } from './settings.ts';

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
    if (isJson) printJson(screen, json);
    else for (const line of lines) print(line);
    return exitCode;
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) {
      screen.print(said.trimEnd());
      return 0;
    }
    const failure = failureFor(caught, said);
    screen.progress?.(undefined);
    if (isJson) printJson(screen, { error: { code: failure.code, message: failure.message } });
    for (const line of failure.message.split('\n')) screen.printError(plain(line));
    return exitCodeOf(failure);
  } finally {
    await api?.close();
  }
}

/** One document on one line, and never in colours. What a terminal would obey is written as JSON writes it. */
function printJson(screen: Screen, json: unknown): void {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  screen.print(JSON.stringify(json).replaceAll(/[\u007f-\u009f]/g, escaped));
}

/** A wrong call in the words of the parser; whatever else was thrown, as it is. */
function failureFor(caught: unknown, said: string): Failure {
  if (!(caught instanceof CommanderError)) return asFailure(caught);
  const text = said.replace(/^error: /, '').trim();
  return new Failure('misconfigured', `${text === '' ? caught.message : text}\nSee "fleet --help".`, { cause: caught });
}
