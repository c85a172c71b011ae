import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';

/** Polls until the condition holds; a server that does not answer yet counts as "not yet". @throws Error that says what did not come true. */
export async function untilTrue(
  what: string,
  condition: () => Promise<boolean>,
  options: { timeoutMs: number; everyMs: number },
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs;
  let problem: unknown;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      problem = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`Gave up after ${options.timeoutMs / 1_000} s waiting for ${what}.`, { cause: problem });
    }
    await delay(options.everyMs);
  }
}

/** Small beside a boot, and rare enough not to slow one down. */
const pageEveryMs = 20;

/** Waits until a page answers 200 and returns when it did, by the clock of `performance.now()`. */
export async function whenPageAnswers(url: string, options: { host?: string; timeoutMs: number }): Promise<number> {
  let answeredMs = 0;
  const answers = async () => {
    const headers = options.host === undefined ? {} : { host: options.host };
    const answer = await request(url, { headers, headersTimeout: 20_000 });
    await answer.body.dump();
    answeredMs = performance.now();
    return answer.statusCode === 200;
  };
  await untilTrue(`${options.host ?? ''} ${url}`, answers, { timeoutMs: options.timeoutMs, everyMs: pageEveryMs });
  return answeredMs;
}
