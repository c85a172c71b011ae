import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { request } from 'undici';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';

/** Polls a condition until it holds. @throws Error that says what did not come true. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  options: { timeoutMs: number; everyMs?: number },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Gave up after ${options.timeoutMs / 1000} s waiting for ${what}.`);
    await delay(options.everyMs ?? 100);
  }
}

/** Waits until a page of an instance answers 200. A name under .localhost is this machine, whatever its resolver says. */
export async function waitForPage(url: string, options: { timeoutMs: number }): Promise<void> {
  const page = new URL(url);
  const address = `http://127.0.0.1:${page.port}${page.pathname}`;
  await until(
    url,
    async () => {
      try {
        const answer = await request(address, { headers: { host: page.host }, headersTimeout: 5_000 });
        await answer.body.dump();
        return answer.statusCode === 200;
      } catch {
        // Not up yet: the proxy itself always answers, so this is the wait's ordinary case only at its beginning.
        return false;
      }
    },
    options,
  );
}

/** Waits until an Odoo server holds a ready clone that a provisioning may claim. */
export async function waitForWarmDatabase(fleet: Fleet, options: { timeoutMs: number }): Promise<void> {
  const { host, port, superuser, superuserPassword } = fleet.servers.odoo;
  const client = new Client({ host, port, user: superuser, password: superuserPassword, database: 'postgres' });
  await client.connect();
  try {
    const isWarm = async () =>
      ((await client.query("select 1 from pg_database where datname like 'warm\\_%'")).rowCount ?? 0) > 0;
    await until('a warm database', isWarm, options);
  } finally {
    await client.end();
  }
}
