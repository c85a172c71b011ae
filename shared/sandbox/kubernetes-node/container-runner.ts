import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Image } from '../image.ts';
import type { ProcessExit, ProcessGroup, ProcessSpec, RunningProcess } from '../processes.ts';
import { openBackOff } from './back-off.ts';
import { type ContainerRecord, shouldRestart, terminatedState } from './container-state.ts';
import { ConfigurationMissing } from './environment.ts';
import { type LaunchInput, launchSpec, obstacleFor } from './launch.ts';
import { type PodSpec, timestamp } from './objects.ts';

export type RunnerContext = {
  pod: PodSpec;
  processes: ProcessGroup;
  findImage(image: string): Promise<Image | undefined>;
  /** Everything but the image. Throws `ConfigurationMissing` for what the container's configuration lacks. */
  launchInput(record: ContainerRecord, image: Image): Promise<LaunchInput>;
  /** The record has changed. */
  changed(record: ContainerRecord): void;
  signal: AbortSignal;
  folder: string;
};

/** The kubelet asks again about twice a second at first; configuration is cheap to look at. */
const configurationRetryMs = 500;

/**
 * Runs a container until its restart policy lets it rest or the signal aborts. Aborting does not stop a running
 * process: whoever aborts does that, with the grace it owes, and this waits for the end.
 */
export async function runContainer(record: ContainerRecord, context: RunnerContext): Promise<void> {
  const backOff = openBackOff();
  try {
    for (;;) {
      const exit = await runOnce(record, context);
      if (exit === undefined || context.signal.aborted) return;
      const exitCode = record.state.terminated?.exitCode ?? 0;
      if (!shouldRestart(context.pod, record, exitCode)) return;
      await restartDelay(record, backOff.next(Date.now()), context);
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
}

async function restartDelay(record: ContainerRecord, waitMs: number, context: RunnerContext): Promise<void> {
  record.lastState = record.state;
  record.restartCount += 1;
  if (waitMs === 0) return;
  // As the kubelet shows it: the count goes up with the restart, not with the waiting.
  record.restartCount -= 1;
  const { name } = record.container;
  const message = `back-off ${waitMs / 1000}s restarting failed container=${name}`;
  setWaiting(record, context, { reason: 'CrashLoopBackOff', message });
  await delay(waitMs, undefined, { signal: context.signal });
  record.restartCount += 1;
}

/** `undefined` if the signal aborted before the process was there. */
async function runOnce(record: ContainerRecord, context: RunnerContext): Promise<ProcessExit | undefined> {
  const image = await pull(record, context);
  record.image = image;
  const process = await startProcess(record, image, context);
  const startedAtMs = Date.now();
  Object.assign(record, { process, startedAtMs, hasStartedUp: false, isReady: false, run: record.run + 1 });
  record.state = { running: { startedAt: timestamp(startedAtMs) } };
  context.changed(record);
  // Aborted while the start was under way: nobody else knows of this process.
  if (context.signal.aborted) await process.stop();
  const exit = await process.exited;
  delete record.process;
  delete record.startedAtMs;
  const message = await lastWords(record, exit);
  record.state = terminatedState(exit, { startedAtMs, nowMs: Date.now(), message });
  context.changed(record);
  return exit;
}

/** As the kubelet takes it from the log: at most 80 lines and 2 KiB of the end. Files of termination messages are not read here. */
const lastWordsBytes = 2_048;

async function lastWords({ container, launch }: ContainerRecord, exit: ProcessExit): Promise<string | undefined> {
  if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exit.code === 0) return undefined;
  const log = await readFile(launch?.logFile ?? '').catch(() => undefined); // one that never wrote has no log
  return log?.subarray(-lastWordsBytes).toString('utf8').split('\n').slice(-80).join('\n');
}

/** Waits until the container's configuration is there. */
async function startProcess(record: ContainerRecord, image: Image, context: RunnerContext): Promise<RunningProcess> {
  for (;;) {
    context.signal.throwIfAborted();
    try {
      const input = await context.launchInput(record, image);
      record.launch = input;
      const spec = await forReachableUser(launchSpec(input), context.folder);
      return await context.processes.start(spec);
    } catch (error) {
      // Anything else, such as a lost connection, is also worth another try, and its text says what is wrong.
      const reason = error instanceof ConfigurationMissing ? 'CreateContainerConfigError' : 'CreateContainerError';
      setWaiting(record, context, { reason, message: error instanceof Error ? error.message : String(error) });
      await delay(configurationRetryMs, undefined, { signal: context.signal });
    }
  }
}

/** A program of this machine in a folder that is closed to the pod's user, such as a checkout below /root, runs as the node. */
async function forReachableUser(spec: ProcessSpec, folder: string): Promise<ProcessSpec> {
  if (spec.user === undefined) return spec;
  const obstacle = await obstacleFor(spec.user, spec, folder);
  if (obstacle === undefined) return spec;
  const { user, ...asNode } = spec;
  await mkdir(dirname(spec.logFile), { recursive: true });
  await appendFile(spec.logFile, `node: user ${user.uid} cannot enter ${obstacle}; running as the node's own user\n`);
  return asNode;
}

async function pull(record: ContainerRecord, context: RunnerContext): Promise<Image> {
  const name = record.container.image;
  const backOff = openBackOff();
  backOff.next(Date.now()); // the first attempt is this one; a failed pull is not tried again at once
  for (;;) {
    const image = await context.findImage(name);
    if (image !== undefined) return image;
    setWaiting(record, context, { reason: 'ErrImagePull', message: `image "${name}" is not in this node's catalogue` });
    const waitMs = backOff.next(Date.now());
    await delay(1_000, undefined, { signal: context.signal });
    setWaiting(record, context, { reason: 'ImagePullBackOff', message: `Back-off pulling image "${name}"` });
    await delay(waitMs - 1_000, undefined, { signal: context.signal });
  }
}

function setWaiting(
  record: ContainerRecord,
  context: RunnerContext,
  waiting: { reason: string; message: string },
): void {
  const { waiting: former } = record.state;
  if (former?.reason === waiting.reason && former.message === waiting.message) return;
  record.state = { waiting };
  context.changed(record);
}
