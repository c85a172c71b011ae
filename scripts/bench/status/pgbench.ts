import { execFile } from 'node:child_process';
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '#shared/sandbox/packages.ts';
import { inFlight } from './drive.ts';
import type { StatusWorld } from './world.ts';

export type PgbenchResult = { perSecond: number; latenciesMs: number[] };
export type Pgbench = {
  /** Runs the scripts, each as often as the others, with 100 clients through the bouncer. */
  run(scripts: readonly { name: string; text: string }[], options: { perClient: number }): Promise<PgbenchResult>;
};

/** pgbench comes with PostgreSQL's own programs: beside `postgres`, else on PATH. @throws Error that says what to install. */
export async function openPgbench(world: StatusWorld, folder: string): Promise<Pgbench> {
  const program = await findPgbench(world.binFolder);
  return {
    async run(scripts, { perClient }) {
      const place = await mkdtemp(join(folder, 'pgbench-'));
      const files = await Promise.all(
        scripts.map(async ({ name, text }) => {
          await writeFile(join(place, `${name}.sql`), text);
          return ['-f', join(place, `${name}.sql`)];
        }),
      );
      const load = ['-n', '-M', 'simple', '-c', String(inFlight), '-j', '2', '-t', String(perClient), '-l'];
      const address = ['-h', world.bouncer.host, '-p', String(world.bouncer.port), '-U', 'rival'];
      const env = { PATH: '/usr/bin:/bin', PGPASSWORD: world.passwords.rival };
      const args = [...load, ...files.flat(), ...address, 'rival'];
      const { stdout, stderr } = await promisify(execFile)(program, args, { cwd: place, env });
      const perSecond = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
      if (!(perSecond > 0) || /error/i.test(stderr)) throw new Error(`pgbench failed:\n${stdout}\n${stderr}`);
      const latenciesMs = await readLatencies(place);
      await rm(place, { recursive: true });
      return { perSecond, latenciesMs };
    },
  };
}

async function findPgbench(binFolder: string): Promise<string> {
  const beside = join(binFolder, 'pgbench');
  const found = await access(beside).then(
    () => beside,
    () => findProgram('pgbench'),
  );
  if (found !== undefined) return found;
  throw new Error(
    `There is no pgbench beside ${binFolder}/postgres, nor on PATH. Install the system's PostgreSQL (package postgresql): npm's has none.`,
  );
}

/** A line per transaction: client, number, microseconds, script, second, microsecond. */
async function readLatencies(folder: string): Promise<number[]> {
  const logs = (await readdir(folder)).filter((name) => name.startsWith('pgbench_log.'));
  const texts = await Promise.all(logs.map((name) => readFile(join(folder, name), 'utf8')));
  return texts
    .flatMap((text) => text.split('\n'))
    .filter((line) => line !== '')
    .map((line) => Number(line.split(' ')[2]) / 1_000);
}
