import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findDaemon, signal, stopDaemon } from './daemons.ts';
import { keepDaemons } from './keep-daemons.ts';
import { waitFor } from './poll.ts';

let folder: string;
const name = `kept-${process.pid}`;
const living = { name, command: '/bin/sleep', args: ['300'] };
const dying = { name, command: '/bin/sh', args: ['-c', 'echo "E1 the port is taken" >&2; exit 1'] };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'));
});
afterEach(async () => {
  await stopDaemon(living, { graceMs: 1000 });
  await rm(folder, { recursive: true });
});

function keep(daemon: typeof living, said: string[]) {
  const say = (line: string) => said.push(line);
  return { daemons: { [name]: daemon }, logs: folder, cwd: folder, say, restarts: 1 };
}

it('starts a daemon again that was killed meanwhile, and says so', async () => {
  const said: string[] = [];
  await keepDaemons(keep(living, said), async ({ start, signal: ended }) => {
    await start(name);
    const first = await findDaemon(living);
    if (first === undefined) throw new Error('it was not started');
    signal(first.pid, 'SIGKILL');
    const look = async () => {
      const found = await findDaemon(living);
      return found === undefined || found.pid === first.pid ? 'a second process' : undefined;
    };
    await waitFor('the daemon', look, { limitMs: 20_000, say: () => undefined, signal: ended, pauseMs: 50 });
  });
  expect(said[0]).toContain(`${name} has died (SIGKILL)`);
  expect(said[1]).toBe(`starting ${name} again (1 of 1)`);
});

it('ends the work with the name of a daemon that cannot live, and has shown its last lines', async () => {
  const said: string[] = [];
  const work = keepDaemons(keep(dying, said), async ({ start, signal: ended }) => {
    await start(name);
    const options = { limitMs: 20_000, say: () => undefined, signal: ended, pauseMs: 50 };
    await waitFor('what never comes', async () => 'nothing', options);
  });
  await expect(work).rejects.toThrow(`${name} cannot live: it died again after 1 restarts`);
  expect(said.join('\n')).toContain(`${name} has died (exit code 1); its log ends with:\n  E1 the port is taken`);
});

it('leaves the daemons alone when the work is done', async () => {
  await keepDaemons(keep(living, []), ({ start }) => start(name));
  expect(await findDaemon(living)).toBeDefined();
});
