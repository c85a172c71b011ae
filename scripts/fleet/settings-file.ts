import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { Failure } from '#shared/domain/failure.ts';
import type { Environment } from '#shared/runtime/config.ts';

const option = '--settings';

/**
 * Takes `--settings FILE` out of the arguments, wherever it stands: a file of lines NAME=value. What is in the environment
 * already counts more.
 * @throws Failure `misconfigured` when the file cannot be read.
 */
export function takeSettings(args: readonly string[], env: Environment): { args: string[]; env: Environment } {
  const at = args.indexOf(option);
  if (at === -1) return { args: [...args], env };
  const file = args[at + 1];
  if (file === undefined) throw new Failure('misconfigured', `${option} takes the path of a file.`);
  return { args: args.toSpliced(at, 2), env: { ...readSettings(file), ...env } };
}

function readSettings(file: string): Environment {
  try {
    return parseEnv(readFileSync(file, 'utf8'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Failure('misconfigured', `${option} names ${file}, which cannot be read (${code}).`, { cause });
  }
}
