import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { bashCompletion } from './completion.ts';
import { programOf } from './program.ts';

const silent = () => undefined;
const commandsOf = (command: Command): Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(commandsOf);
const all = commandsOf(programOf(async () => undefined, [], silent)).map((command) => {
  const words = [command.parent?.name(), command.name()].filter((word) => word !== 'fleet').join(' ');
  return { words };
});

const shell = (line: string) => (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));

async function helpOf(words: string): Promise<string> {
  let said = '';
  const program = programOf(
    async () => undefined,
    [],
    (text) => void (said += text),
  );
  await program.parseAsync([...words.split(' '), '--help'], { from: 'user' }).catch(silent);
  return said;
}

it.each(all)('"$words" shows an example in its help that is a right call of itself', async ({ words }) => {
  const [, example = ''] = /Example:\n {2}fleet (.*)\n/.exec(await helpOf(words)) ?? [];
  expect(example.startsWith(words)).toBe(true);
  let ran = '';
  await programOf(async (definition) => void (ran = definition.example), [], silent).parseAsync(
    shell(example.replace(/ >>.*/, '')),
    { from: 'user' },
  );
  expect(ran).toBe(example);
});

it('what destroys asks first, and can be told not to', async () => {
  const asks = await Promise.all(
    all.map(async ({ words }) => ((await helpOf(words)).includes('--yes') ? [words] : [])),
  );
  expect(asks.flat().sort()).toEqual([
    'backups restore',
    'backups undo-restore',
    'dead-letters discard',
    'domains remove',
    'instances purge',
    'instances terminate',
    'keys revoke',
    'webhooks delete',
    'webhooks rotate-secret',
  ]);
});

it('every command and option is completed', () => {
  const script = bashCompletion(
    programOf(async () => undefined, [], silent),
    [],
  );
  for (const { words } of all) {
    const [noun, verb] = words.split(' ');
    if (verb !== undefined) expect(script).toMatch(new RegExp(`'${noun}'\\) words='[^']*\\b${verb}\\b`));
  }
  expect(script).toMatch(/'reconcile'\) words='--plan /);
});
