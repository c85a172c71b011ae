import { Pool } from 'undici';
import { percentile } from '../statistics.ts';

/** Callers at once; each asks again when it was answered. */
export const callers = 8;
export const roundMs = 1_000;

export type Asked = { method: 'GET' | 'POST'; path: string; key: string; body?: string };
export type Sample = { p50Ms: number; p95Ms: number; perSecond: number; answers: number };

export type Caller = {
  /**
   * Asks for `roundMs`. `words` counts what the cache did for the answers.
   * @throws Error for any answer but a good one.
   */
  load(ask: () => Asked, words?: Map<string, number>): Promise<Sample>;
  close(): Promise<void>;
};

/** A client that keeps a connection for each of its callers. */
export function openCaller(url: string): Caller {
  const pool = new Pool(url, { connections: callers });
  const once = async ({ method, path, key, body }: Asked, words: Map<string, number> | undefined) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const answer = await pool.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} was answered ${answer.statusCode}: ${text}`);
    const word = answer.headers['x-cache'];
    if (typeof word === 'string') words?.set(word, (words.get(word) ?? 0) + 1);
  };
  return {
    async load(ask, words) {
      const times: number[] = [];
      const began = performance.now();
      const caller = async () => {
        while (performance.now() - began < roundMs) {
          const asked = ask();
          const startedMs = performance.now();
          await once(asked, words);
          times.push(performance.now() - startedMs);
        }
      };
      await Promise.all(Array.from({ length: callers }, caller));
      const seconds = (performance.now() - began) / 1_000;
      const [p50Ms, p95Ms] = [percentile(times, 0.5), percentile(times, 0.95)];
      return { p50Ms, p95Ms, perSecond: times.length / seconds, answers: times.length };
    },
    close: () => pool.close(),
  };
}
