import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon, findDaemons, startDaemon } from './daemons.ts';
import { readLogEnd, tellingLines } from './log-lines.ts';
import { judge, type Life, maxRestarts } from './restarts.ts';

const lookMs = 1_000;
/** The first time. Later ones mostly say the same. */
const linesOfDeath = 5;

export type Keeper<Name extends string> = {
  /** Starts it unless it runs, and keeps it running from now on. */
  start(name: Name): Promise<void>;
  /** Aborts when the work was interrupted, and when a daemon cannot live. */
  signal: AbortSignal;
};

export type KeepOptions<Name extends string> = {
  daemons: Record<Name, Daemon & { name: Name }>;
  /** Folder of `<name>.log`. */
  logs: string;
  /** Working directory of the daemons. */
  cwd: string;
  say(line: string): void;
  signal?: AbortSignal;
  /** How often one is started again. */
  restarts?: number;
};

/**
 * Does `work` and meanwhile starts again what dies of the daemons it started, as systemd would on a real node. Says which
 * died, how, and what its log ends with.
 * @throws Error that names the daemon when one has died too often; what `work` throws otherwise.
 */
export async function keepDaemons<Name extends string, Result>(
  options: KeepOptions<Name>,
  work: (keeper: Keeper<Name>) => Promise<Result>,
): Promise<Result> {
  const lives = new Map<Name, Life>();
  const ends = new Map<Name, string>();
  const launch = (name: Name) =>
    startDaemon(options.daemons[name], { ...options, onEnd: (how) => ends.set(name, how) });
  const [lost, ended] = [new AbortController(), new AbortController()];
  const signal = AbortSignal.any([lost.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const start = async (name: Name) => {
    await launch(name);
    lives.set(name, { restarts: 0 });
  };
  const watching = watch(options, { lives, ends, launch }, ended.signal).catch((error: unknown) => lost.abort(error));
  try {
    return await work({ start, signal });
  } catch (error) {
    if (lost.signal.aborted) throw lost.signal.reason;
    throw error;
  } finally {
    ended.abort();
    await watching;
  }
}

type Watched<Name extends string> = {
  lives: Map<Name, Life>;
  /** How those have ended that this process started. */
  ends: ReadonlyMap<Name, string>;
  launch(name: Name): Promise<void>;
};

async function watch<Name extends string>(
  options: KeepOptions<Name>,
  { lives, ends, launch }: Watched<Name>,
  ended: AbortSignal,
): Promise<void> {
  const { daemons, say, restarts = maxRestarts } = options;
  while (!ended.aborted) {
    // What is started during the look is not in it.
    const known = new Map(lives);
    const running = await findDaemons([...known.keys()].map((name) => daemons[name]));
    if (ended.aborted) return;
    const verdict = judge(known, new Set(running.keys()), performance.now(), restarts);
    for (const [name, life] of verdict.lives) lives.set(name, life);
    for (const name of verdict.died) {
      const isFirst = known.get(name)?.restarts === 0;
      say(await deathOf(name, { logs: options.logs, ends, lines: isFirst ? linesOfDeath : 1 }));
    }
    if (verdict.lost !== undefined) {
      throw new Error(`${verdict.lost} cannot live: it died again after ${restarts} restarts`);
    }
    for (const name of verdict.due) {
      say(`starting ${name} again (${lives.get(name)?.restarts} of ${restarts})`);
      await launch(name);
    }
    await pause(lookMs, undefined, { signal: ended }).catch(() => undefined);
  }
}

async function deathOf(
  name: string,
  { logs, ends, lines }: { logs: string; ends: ReadonlyMap<string, string>; lines: number },
): Promise<string> {
  const text = tellingLines(await readLogEnd(join(logs, `${name}.log`)), lines);
  const how = ends.get(name);
  const death = how === undefined ? `${name} has died` : `${name} has died (${how})`;
  return [`${death}; its log ends with:`, ...text.map((line) => `  ${line}`)].join('\n');
}
