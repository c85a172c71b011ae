import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { residentMib, type Surroundings } from '../surroundings.ts';
import type { ColdEvent } from './events.ts';

/** A program to start, and the status its first answer is awaited with. */
export type ColdArm = {
  args: readonly string[];
  env: Record<string, string>;
  /** Undefined asks GET /readyz. */
  event?: ColdEvent;
  status: number;
};

export type ColdSample = { ms: number; cpuMs: number; mib: number };

const timeoutMs = 30_000;
/** Long enough for what runs once after the start. */
const idleMs = 300;

/** Starts a program anew and times it until its first right answer; then its memory, when it has nothing to do. */
export async function timeStart(name: string, arm: ColdArm, { processes, folder }: Surroundings): Promise<ColdSample> {
  const port = await freePort();
  const logFile = `${folder}/${name.replaceAll(/[^a-z]+/g, '-')}.log`;
  const bytes = requestBytes(port, arm.event);
  const running = await processes.start({
    name,
    command: process.execPath,
    args: arm.args,
    env: { PATH: '/usr/bin:/bin', NODE_ENV: 'production', PORT: String(port), ...arm.env },
    logFile,
  });
  // the program's shell has been told to become it at this moment: what starting a process costs the bench is not counted
  const startedMs = performance.now();
  try {
    for (;;) {
      const status = await ask(port, bytes);
      if (status === arm.status) break;
      const isLate = performance.now() - startedMs > timeoutMs;
      if (isLate || (status !== undefined && status !== 503)) {
        throw new Error(`${name} answered ${status ?? 'nothing'}, wanted ${arm.status}; its log is ${logFile}`);
      }
      await delay(1);
    }
    const ms = performance.now() - startedMs;
    const cpuMs = await processorTimeMs(running.pid);
    await delay(idleMs);
    return { ms, cpuMs, mib: await residentMib(running.pid) };
  } finally {
    await running.stop({ signal: 'SIGKILL' });
  }
}

/** Time on a processor of all threads that live, in nanoseconds of the scheduler: a start takes few ticks. */
async function processorTimeMs(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')));
  return texts.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0) / 1e6;
}

function requestBytes(port: number, event: ColdEvent | undefined): string {
  const host = `host: 127.0.0.1:${port}\r\nconnection: close\r\n`;
  if (event === undefined) return `GET /readyz HTTP/1.1\r\n${host}\r\n`;
  const headers = Object.entries(event.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = `content-length: ${Buffer.byteLength(event.body)}\r\n`;
  return `POST / HTTP/1.1\r\n${host}${headers.join('')}${length}\r\n${event.body}`;
}

/** The status, or undefined while nobody listens. A bare socket: an HTTP client would take time of the same processors. */
function ask(port: number, bytes: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('error', () => resolve(undefined));
    socket.on('close', () => resolve(undefined));
    socket.once('data', (chunk: Buffer) => {
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(chunk.toString())?.[1]));
      socket.destroy();
    });
  });
}
