import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';

/** As a browser that asks for the same page again and again, whatever became of the last time. */
const everyMs = 50;

export type Client = {
  /** Ends it. The longest time in which no page was to be had, from the last one before it to the first one after it. */
  end(): Promise<{ downtimeMs: number; asked: number; refused: number }>;
};

/** Asks for the page every 50 ms, side by side: one that is not answered holds no other up. */
export function startClient(url: string, host: string): Client {
  let isAsking = true;
  let asked = 0;
  let refused = 0;
  let lastMs = performance.now();
  let downtimeMs = 0;
  const pending = new Set<Promise<void>>();

  async function ask(): Promise<void> {
    asked += 1;
    const sentMs = performance.now();
    const status = await request(url, { headers: { host }, headersTimeout: 30_000 })
      .then(async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      })
      .catch(() => 0);
    if (status !== 200) refused += 1;
    // What was asked for before the last answer came tells nothing new.
    else if (sentMs > lastMs) {
      downtimeMs = Math.max(downtimeMs, performance.now() - lastMs);
      lastMs = performance.now();
    }
  }

  const asking = (async () => {
    while (isAsking) {
      const one = ask().finally(() => pending.delete(one));
      pending.add(one);
      await delay(everyMs);
    }
    await Promise.all(pending);
  })();
  return {
    async end() {
      isAsking = false;
      await asking;
      return { downtimeMs, asked, refused };
    },
  };
}
