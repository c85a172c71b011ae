import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { percentile } from '../statistics.ts';
import { processorTimeOfMs } from '../status/processor-time.ts';

/** Callers at once; each asks again when it was answered. */
export const callers = 8;
export const roundMs = 1_000;

export type Asked = { method: 'GET' | 'POST'; path: string; key: string; body?: string };
/** `cpuUs`: of the server's process, per answer. */
export type Sample = { p50Ms: number; p95Ms: number; perSecond: number; answers: number; cpuUs: number };

export type Caller = {
  /**
   * Asks for `roundMs`, each caller again when he was answered: as much as the server can take. `words` counts what the cache did for the answers.
   * @throws Error for any answer but a good one.
   */
  load(ask: () => Asked, words?: Map<string, number>): Promise<Sample>;
  /**
   * Asks so often for `roundMs`, whether or not others were answered, as users do. Times count from when each was to be asked.
   * @throws Error for any answer but a good one.
   */
  arrive(ask: () => Asked, perSecond: number): Promise<Sample>;
  close(): Promise<void>;
};

/** A client of the server in process `pid` that keeps a connection for each of its callers. */
export function openCaller({ url, pid }: { url: string; pid: number }): Caller {
  const pool = new Pool(url, { connections: callers });
  // as many as ask at once when the server is late
  const arriving = new Pool(url, { connections: 64 });
  const once = async (by: Pool, { method, path, key, body }: Asked, words?: Map<string, number>) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const answer = await by.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} was answered ${answer.statusCode}: ${text}`);
    const word = answer.headers['x-cache'];
    if (typeof word === 'string') words?.set(word, (words.get(word) ?? 0) + 1);
  };
  const sampled = async (work: (began: number, times: number[]) => Promise<unknown>): Promise<Sample> => {
    const times: number[] = [];
    const usedMs = await processorTimeOfMs(pid);
    const began = performance.now();
    await work(began, times);
    const seconds = (performance.now() - began) / 1_000;
    const cpuUs = (1_000 * ((await processorTimeOfMs(pid)) - usedMs)) / times.length;
    const [p50Ms, p95Ms] = [percentile(times, 0.5), percentile(times, 0.95)];
    return { p50Ms, p95Ms, perSecond: times.length / seconds, answers: times.length, cpuUs };
  };
  return {
    load: (ask, words) =>
      sampled(async (began, times) => {
        const caller = async () => {
          while (performance.now() - began < roundMs) {
            const asked = ask();
            const startedMs = performance.now();
            await once(pool, asked, words);
            times.push(performance.now() - startedMs);
          }
        };
        await Promise.all(Array.from({ length: callers }, caller));
      }),
    arrive: (ask, perSecond) =>
      sampled(async (began, times) => {
        const asking = async (_: unknown, number: number) => {
          const dueMs = began + (1_000 * number) / perSecond;
          await delay(Math.max(0, dueMs - performance.now()));
          await once(arriving, ask());
          times.push(performance.now() - dueMs);
        };
        await Promise.all(Array.from({ length: (perSecond * roundMs) / 1_000 }, asking));
      }),
    close: async () => void (await Promise.all([pool.close(), arriving.close()])),
  };
}
