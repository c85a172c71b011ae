import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';

/** A program of a pipeline. It gets this environment and nothing of ours but PATH. */
export type Stage = { program: string; args: readonly string[]; env?: Readonly<Record<string, string>> };

export type Pipeline = {
  /** To the first stage; null unless asked for. */
  input: Writable | null;
  /** Of the last stage; null unless asked for. */
  output: Readable | null;
  /**
   * Resolves when every stage has ended with exit code 0.
   * @throws Failure `job-failed` that names each stage that did not, with what it said.
   */
  ended: Promise<void>;
};

const killAfterMs = 5_000;
const keptOfStderr = 8_192;

/**
 * Two programs, the first one's output joined to the second one's input by the kernel: the bytes between them do not
 * pass through this process. `signal` ends both.
 */
export function startPipeline(
  stages: readonly [Stage, Stage],
  { gives, signal }: { gives: 'input' | 'output' | 'both'; signal: AbortSignal },
): Pipeline {
  signal.throwIfAborted();
  const [first, second] = stages;
  // The second one first: of a child's stdin we hold an end that nobody reads from. A child's stdout Node would read.
  const reader = spawnStage(second, ['pipe', gives === 'input' ? 'ignore' : 'pipe']);
  const joint = reader.child.stdin;
  if (joint === null) throw new Error('a child that was asked for a pipe has none');
  const writer = spawnStage(first, [gives === 'output' ? 'ignore' : 'pipe', joint]);
  // only the first stage is to hold it now: its end is the end of the second one's input
  joint.destroy();
  const children = [writer, reader];
  const stop = () => {
    for (const { child } of children) end(child);
  };
  signal.addEventListener('abort', stop, { once: true });
  // where one could not be started at all, the other would wait for ever
  for (const { startFailed } of children) void startFailed.then(stop);
  const ended = Promise.all(children.map(({ outcome }) => outcome)).then((outcomes) => {
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    const failed = outcomes.filter((one) => one !== undefined);
    if (failed.length > 0) throw new Failure('job-failed', failed.toReversed().join(' '));
  });
  // who asks for the streams' end first learns of it there
  ended.catch(() => undefined);
  return { input: writer.child.stdin, output: reader.child.stdout, ended };
}

/** One program alone, as a pipeline of one. */
export function startProgram(
  stage: Stage,
  { gives, signal }: { gives: 'input' | 'output'; signal: AbortSignal },
): Pipeline {
  signal.throwIfAborted();
  const stdio = gives === 'input' ? (['pipe', 'ignore'] as const) : (['ignore', 'pipe'] as const);
  const { child, outcome } = spawnStage(stage, [...stdio]);
  const stop = () => end(child);
  signal.addEventListener('abort', stop, { once: true });
  const ended = outcome.then((said) => {
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    if (said !== undefined) throw new Failure('job-failed', said);
  });
  ended.catch(() => undefined);
  return { input: child.stdin, output: child.stdout, ended };
}

type Started = { child: ChildProcess; outcome: Promise<string | undefined>; startFailed: Promise<void> };

function spawnStage(stage: Stage, [stdin, stdout]: ['pipe' | 'ignore', 'pipe' | 'ignore' | Writable]): Started {
  const child = spawn(stage.program, stage.args, {
    stdio: [stdin, stdout, 'pipe'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...stage.env },
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-keptOfStderr);
  });
  // what breaks the stream breaks the stage: it tells
  child.stdin?.on('error', () => undefined);
  const startFailed = Promise.withResolvers<void>();
  const outcome = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => {
      if (child.pid !== undefined) return; // a signal that could not be sent
      resolve(`${stage.program} could not be started (${'code' in error ? String(error.code) : error.message}).`);
      startFailed.resolve();
    });
    child.once('close', (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(`${stage.program} ended with ${signal ?? `exit code ${code}`}${reasonIn(said, stage.program)}`);
    });
  });
  return { child, outcome, startFailed: startFailed.promise };
}

/** The line that says why. What follows it may quote rows of the customer's, and is left out. */
function reasonIn(said: string, program: string): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  const line = lines.find((one) => /\berror\b|FATAL|PANIC/i.test(one)) ?? lines.at(-1);
  if (line === undefined) return '.';
  const text = line.startsWith(`${program}: `) ? line.slice(program.length + 2) : line;
  return `: ${oneLine(text, 400)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

function end(child: ChildProcess): void {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), killAfterMs).unref();
}
