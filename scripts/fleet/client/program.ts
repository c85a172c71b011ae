import { Argument, Command } from 'commander';
import { databaseServers, deadLetters, keys } from './administration.ts';
import { backups } from './backups.ts';
import { addCommand, addGroup, type Runner } from './command.ts';
import { bashCompletion } from './completion.ts';
import { customers } from './customers.ts';
import { doctor } from './doctor.ts';
import { domains } from './domains.ts';
import { instances } from './instances.ts';
import { operations } from './operations.ts';
import { reconcile } from './reconcile.ts';
import { audit, bouncedAddresses, plans } from './records.ts';
import { webhooks } from './webhooks.ts';

const groups = [
  ...[instances, operations, backups, domains, webhooks, customers, plans, keys],
  ...[deadLetters, databaseServers, audit, bouncedAddresses],
];

/** Commands without a noun. */
const alone = [reconcile, doctor];

/** First words that lead to the API. */
export const clientWords: readonly string[] = [
  ...groups.map(({ noun }) => noun),
  ...alone.map(({ usage }) => usage.split(' ')[0] ?? ''),
  'completion',
];

/** Does the API have this command? */
export function isClientCommand(noun: string, verb: string): boolean {
  const group = groups.find((one) => one.noun === noun);
  if (group === undefined) return clientWords.includes(noun);
  return group.commands.some(({ usage }) => usage.split(' ')[0] === verb);
}

const epilogue = `
Settings: FLEET_URL and FLEET_TOKEN, or {"url", "token"} in ~/.config/odoo-fleet/config.json with mode 600.
Exit code: 0 done, or accepted and not watched; 1 failed; 2 called wrongly; 3 the API is not reached; 4 refused.`;

/**
 * The program with its commands; what it says by itself goes to `say`. `others`: words of further commands that are completed
 * as well.
 */
export function programOf(runner: Runner, others: readonly string[], say: (text: string) => void): Command {
  const program = new Command('fleet')
    .description('Odoo instances, over the API.')
    .option('--json', 'prints one JSON document, or {"error": {"code", "message"}}')
    .configureOutput({ writeOut: say, writeErr: say })
    .exitOverride()
    .helpCommand(false)
    .addHelpText('after', epilogue);
  for (const group of groups) addGroup(program, group, runner);
  for (const definition of alone) addCommand(program, definition, runner);
  const completion = {
    usage: 'completion',
    says: 'the script that completes commands: source <(fleet completion bash)',
    example: 'completion bash >> ~/.bashrc',
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
