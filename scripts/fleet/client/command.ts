import { type Command, Option } from 'commander';
import type { Environment } from '#shared/runtime/config.ts';
import type { Done, Screen } from '../screen.ts';
import type { Api } from './api.ts';
import type { ExitCode } from './failures.ts';

export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** What a command is run with. */
export type Call = {
  operands: readonly string[];
  options: Options;
  env: Environment;
  screen: Screen;
  /** Opened when first asked for. @throws Failure `misconfigured` when it is not known where it is. */
  api(): Api;
};

/** What a command came to. `exitCode`: where 0, and 1 for what is not done, say too little. */
export type Result = Done & { exitCode?: ExitCode };

export type Definition = {
  /** As it is called: `list`, `show <instance>`, `retry <operation>`. */
  usage: string;
  says: string;
  /** A call of it, without the word `fleet`. */
  example: string;
  options?: readonly (readonly [flags: string, says: string] | Option)[];
  run(call: Call): Promise<Result>;
};

/** How the commands of a program are run. */
export type Runner = (definition: Definition, operands: readonly string[], options: Options) => Promise<void>;

/** Commands under one noun. */
export type Group = { noun: string; says: string; commands: readonly Definition[] };

/** Adds the commands of a group to a program. */
export function addGroup(program: Command, { noun, says, commands }: Group, runner: Runner): void {
  const group = program.command(noun).description(says);
  for (const definition of commands) addCommand(group, definition, runner);
}

export function addCommand(parent: Command, definition: Definition, runner: Runner): void {
  const command = parent.command(definition.usage).description(definition.says);
  for (const option of definition.options ?? []) {
    command.addOption(option instanceof Option ? option : new Option(...option));
  }
  command.addHelpText('after', `\nExample:\n  fleet ${definition.example}`);
  command.action(async (...given: unknown[]) => {
    const self = given.at(-1) as Command;
    await runner(definition, self.args, self.optsWithGlobals<Options>());
  });
}

/** The text of an option that takes one. */
export function textOf(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}
