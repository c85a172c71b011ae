import { request } from 'node:http';
import type { Notification } from './records.ts';

/** 15 min, 30 min, 2 h, 12 h and 1 day: org.killbill.billing.server.notifications.retries. */
export const retriesMs = [900_000, 1_800_000, 7_200_000, 43_200_000, 86_400_000] as const;

type Waiting = { notification: Notification; attempt: number; at: number };

/**
 * Push notifications as Kill Bill sends them: each POSTed once, again after growing times unless it was answered with
 * 2xx, and given up after the last. `clock` is milliseconds; time passes when `deliver` is called.
 */
export function openPush(options: { callbacks: () => readonly string[]; clock: () => number }) {
  const { callbacks, clock } = options;
  let waiting: Waiting[] = [];
  const statuses: number[] = [];
  const givenUp: Notification[] = [];

  async function send(one: Waiting): Promise<void> {
    for (const callback of callbacks()) {
      const status = await post(callback, JSON.stringify(one.notification)).catch(() => 0);
      statuses.push(status);
      if (status >= 200 && status < 300) continue;
      const wait = retriesMs[one.attempt];
      if (wait === undefined) givenUp.push(one.notification);
      else waiting.push({ ...one, attempt: one.attempt + 1, at: clock() + wait });
    }
  }

  return {
    say: (notification: Notification) => void waiting.push({ notification, attempt: 0, at: clock() }),
    /** Sends what is due, in order or in another one; resolves when each has its answer. */
    async deliver(order: (due: Notification[]) => Notification[] = (due) => due): Promise<void> {
      const due = waiting.filter(({ at }) => at <= clock());
      waiting = waiting.filter((one) => !due.includes(one));
      const byNotification = new Map(due.map((one) => [one.notification, one]));
      for (const notification of order(due.map((one) => one.notification))) {
        const one = byNotification.get(notification);
        if (one !== undefined) await send(one);
      }
    },
    /** What was not sent is lost. */
    lose: () => {
      waiting = [];
    },
    waiting: () => waiting.map(({ notification }) => notification),
    statuses,
    givenUp,
  };
}

const timeoutMs = 15_000;

/** As Java's client does it: over plain HTTP it offers HTTP/2 with every request. */
function post(url: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      'user-agent': 'KillBill/1.0',
      'content-type': 'application/json; charset=UTF-8',
      'content-length': Buffer.byteLength(body),
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
    };
    const sent = request(url, { method: 'POST', headers, timeout: timeoutMs, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.end(body);
  });
}
