import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { clientOfThisFile, tokens } from './client.fixture.ts';

const { api } = clientOfThisFile();
const instance = testInstanceId(1);
const program = fileURLToPath(new URL('../main.ts', import.meta.url));

beforeAll(() => insertCatalogue(api().database));
beforeEach(async () => {
  await api().database.query('truncate operations, operation_steps, outbox, instances cascade');
  await insertTestInstance(api().database, instance);
  await api().database.query(`update instances set status = 'running', observed_generation = generation`);
});

type Shown = { code: number | null; seen: string };

/** The program on a terminal of its own, of that width. `type`: what is typed once it asks. */
async function onTerminal(
  args: string,
  { columns, env = {}, type }: { columns: number; env?: NodeJS.ProcessEnv; type?: string },
): Promise<Shown> {
  const { NO_COLOR: _noColor, FORCE_COLOR: _forceColor, ...own } = process.env;
  const line = `stty cols ${columns}; exec ${process.execPath} ${program} ${args}`;
  const child = spawn('/usr/bin/script', ['-qec', line, '/dev/null'], {
    env: { ...own, TERM: 'xterm', HOME: '/nonexistent', FLEET_URL: api().url, FLEET_TOKEN: tokens.admin, ...env },
    timeout: 60_000,
  });
  let seen = '';
  let hasTyped = false;
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
    if (type === undefined || hasTyped || !seen.includes('to go on: ')) return;
    hasTyped = true;
    child.stdin.write(type);
  });
  const errors = text(child.stderr);
  const code = await new Promise<number | null>((resolve) => void child.once('close', resolve));
  expect(await errors).toBe('');
  return { code, seen: seen.replaceAll('\r\n', '\n') };
}

const kinds = async () => (await api().database.query<{ kind: string }>('select kind from operations')).rows;

test('a narrow terminal shows a table in lines that fit, in colours that can be switched off', async () => {
  const { code, seen } = await onTerminal('instances list', { columns: 60 });
  expect([code, seen.includes('\u001b[32mrunning')]).toEqual([0, true]);
  const lines = stripVTControlCharacters(seen).trimEnd().split('\n');
  expect(lines).toHaveLength(4);
  expect(Math.max(...lines.map((one) => one.length))).toBeLessThanOrEqual(60);
  expect(lines[3]).toMatch(/^ {2}small +https:/);
  const plain = await onTerminal('instances list', { columns: 200, env: { NO_COLOR: '1' } });
  expect(plain.seen.trimEnd().split('\n')).toHaveLength(2);
  expect(plain.seen).not.toContain('\u001b');
});

test('JSON is one line without colours whatever the terminal', async () => {
  const { seen } = await onTerminal('instances list --json', { columns: 40 });
  expect(JSON.parse(seen)).toMatchObject({ items: [{ id: instance, status: 'running' }] });
});

test.each([
  ['the name', `n-${instance}\r`, 0],
  ['another word', 'yes\r', 1],
  ['the end of what is typed', '\u0004', 1],
  ['an interrupt', '\u0003', 1],
])('what destroys asks at the terminal; %s ends it', async (_what, type, expected) => {
  const { code, seen } = await onTerminal(`instances terminate ${instance}`, { columns: 120, type });
  expect(code).toBe(expected);
  expect(seen).toContain(expected === 0 ? `The terminate of ${instance} is accepted.` : 'nothing was done');
  expect(await kinds()).toEqual(expected === 0 ? [{ kind: 'terminate' }] : []);
});
