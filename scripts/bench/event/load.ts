import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { findProgram } from '#shared/sandbox/packages.ts';
import { body, headers } from './event.ts';

export type LoadResult = { requests: number; seconds: number; p50Ms: number; p99Ms: number };

/** Sends the event over kept connections for a time, as fast as it is answered. @throws Error when an answer is not 204. */
export type Load = { about: string; run(port: number, options: { seconds: number }): Promise<LoadResult> };

const connections = 100;
const path = '/';

/** `wrk` where it is installed (Debian's package has that name), else a generator of our own, which takes more processor time. */
export async function openLoad(options: { folder: string; pin: readonly string[] }): Promise<Load> {
  const wrk = await findProgram('wrk');
  return wrk === undefined ? ownLoad() : await wrkLoad(wrk, options);
}

async function wrkLoad(wrk: string, { folder, pin }: { folder: string; pin: readonly string[] }): Promise<Load> {
  const script = join(folder, 'event.lua');
  await writeFile(script, luaScript());
  return {
    about: `wrk, ${connections} connections`,
    async run(port, { seconds }) {
      const [command = wrk, ...args] = pin.length === 0 ? [] : [...pin, wrk];
      const settings = [
        '-t1',
        '--timeout',
        '30s',
        `-c${connections}`,
        `-d${seconds}s`,
        '-s',
        script,
        `http://127.0.0.1:${port}${path}`,
      ];
      const { stdout } = await promisify(execFile)(command, [...args, ...settings]);
      const line = stdout.split('\n').find((one) => one.startsWith('RESULT '));
      if (line === undefined) throw new Error(`wrk printed no result:\n${stdout}`);
      const found = JSON.parse(line.slice('RESULT '.length)) as Record<
        'requests' | 'us' | 'errors' | 'p50' | 'p99',
        number
      >;
      if (found.errors > 0) throw new Error(`${found.errors} of ${found.requests} events were not answered 204`);
      return {
        requests: found.requests,
        seconds: found.us / 1e6,
        p50Ms: found.p50 / 1_000,
        p99Ms: found.p99 / 1_000,
      };
    },
  };
}

/** wrk counts answers of 400 and above and broken sockets; times are in microseconds. */
function luaScript(): string {
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${lua(name)}] = ${lua(value)}`);
  return `wrk.method = "POST"
wrk.body = ${lua(body)}
${lines.join('\n')}
function done(summary, latency)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('RESULT {"requests":%d,"us":%d,"errors":%d,"p50":%f,"p99":%f}\\n',
    summary.requests, summary.duration, errors, latency:percentile(50), latency:percentile(99)))
end
`;
}

/** JSON's escapes are Lua's for the ASCII that events consist of. */
function lua(text: string): string {
  return JSON.stringify(text);
}

function ownLoad(): Load {
  return {
    about: `a generator in this process (wrk is not installed), ${connections} connections`,
    async run(port, { seconds }) {
      const pool = new Pool(`http://127.0.0.1:${port}`, { connections, pipelining: 1 });
      const times: number[] = [];
      const startedMs = performance.now();
      const worker = async () => {
        while (performance.now() - startedMs < seconds * 1_000) {
          const sentMs = performance.now();
          const { statusCode, body: answer } = await pool.request({ method: 'POST', path, headers, body });
          await answer.dump();
          if (statusCode !== 204) throw new Error(`an event was answered ${statusCode}, not 204`);
          times.push(performance.now() - sentMs);
        }
      };
      try {
        await Promise.all(Array.from({ length: connections }, worker));
      } finally {
        await pool.close();
      }
      times.sort((a, b) => a - b);
      const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
      return {
        requests: times.length,
        seconds: (performance.now() - startedMs) / 1_000,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
      };
    },
  };
}
