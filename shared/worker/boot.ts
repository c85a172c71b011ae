import { setTimeout as delay } from 'node:timers/promises';
import { neutralizeDatabase } from '#shared/adapters/odoo-server/neutralize.ts';
import { hashOdooPassword } from '#shared/adapters/odoo-server/password-hash.ts';
import type { BootOrder } from '#shared/domain/backup/boot-order.ts';
import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { withSession } from './session.ts';

/** Odoo's own superuser: not active, nobody's, and no record rule is for it. */
const superuser = 1;

/** From when Odoo's container runs. It loads its modules at the first call. */
const defaultTimeoutMs = 600_000;
const callTimeoutMs = 120_000;
const pauseMs = 500;

/**
 * Before Odoo starts: takes from the restored database whatever could act on the world, and lets its superuser in with the
 * password of the order. Repeatable.
 * @throws Failure when anything dangerous is left: then Odoo must not start.
 */
export async function prepareBoot(order: BootOrder, signal: AbortSignal): Promise<void> {
  const hash = await hashOdooPassword(order.password);
  await withSession(order.database, signal, async (client) => {
    await neutralizeDatabase(client);
    const { rowCount } = await client.query('UPDATE public.res_users SET active = true, password = $2 WHERE id = $1', [
      superuser,
      hash,
    ]);
    if (rowCount !== 1) throw new Failure('damaged', "The restored database has no superuser of Odoo's.");
  });
}

/**
 * Asks Odoo (`http://address:port`) for its health, its login page and how many records it finds, until it has answered all.
 * @returns what is wrong, in sentences: it did not come up in time, or found other numbers than the manifest has.
 * @throws Failure `unavailable` when its database cannot be reached: then nothing was learnt about the backup.
 */
export async function checkBoot(
  order: BootOrder,
  options: { odoo: string; signal: AbortSignal; timeoutMs?: number; say?: (line: string) => void },
): Promise<string[]> {
  const { odoo, signal, timeoutMs = defaultTimeoutMs } = options;
  const until = performance.now() + timeoutMs;
  const began = performance.now();
  let why = 'it was not asked';
  while (performance.now() < until) {
    signal.throwIfAborted();
    try {
      await askPage(odoo, '/web/health', signal);
      await askPage(odoo, '/web/login', signal);
      const differences = await compare(order, { odoo, signal });
      const seconds = Math.round((performance.now() - began) / 100) / 10;
      options.say?.(`Odoo answered after ${seconds} s; ${order.counts.length} models were counted.`);
      return differences;
    } catch (error) {
      why = reasonOf(error);
    }
    await delay(pauseMs, undefined, { signal });
  }
  await withSession(order.database, signal, (client) => client.query('SELECT 1'));
  return [`Odoo did not come up on the restored database within ${Math.round(timeoutMs / 1000)} s: ${why}.`];
}

/** The health page touches no database; the login page is rendered from it. A redirect is an answer: modules may have one. */
async function askPage(odoo: string, path: string, signal: AbortSignal): Promise<void> {
  const answer = await fetch(odoo + path, {
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]),
  });
  await answer.arrayBuffer();
  if (answer.status >= 400) throw new Failure('unavailable', `${path} answers ${answer.status}`);
}

async function compare(order: BootOrder, to: { odoo: string; signal: AbortSignal }): Promise<string[]> {
  const differences: string[] = [];
  for (const { model, rows } of order.counts) {
    const found = await searchCount(order, model, to);
    if (found !== rows) differences.push(`Odoo finds ${found} records of ${model}, the backup has ${rows}.`);
  }
  return differences;
}

/** JSON-RPC as Odoo speaks it: failures are an `error` member of a 200 answer, whose `debug` is a whole traceback. */
async function searchCount(
  { database, password }: BootOrder,
  model: string,
  { odoo, signal }: { odoo: string; signal: AbortSignal },
): Promise<number> {
  const options = { context: { active_test: false } };
  const args = [database.database, superuser, password, model, 'search_count', [[]], options];
  const params = { service: 'object', method: 'execute_kw', args };
  const answer = await fetch(`${odoo}/jsonrpc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', method: 'call', id: 1, params }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]),
  });
  const said = (await answer.json()) as { result?: unknown; error?: { data?: { name?: unknown; message?: unknown } } };
  if (typeof said.result === 'number') return said.result;
  const { name, message } = said.error?.data ?? {};
  throw new Failure('unavailable', `counting ${model}, it says ${String(name)}: ${oneLine(String(message), 200)}`);
}

/** `fetch` says no more than that it failed; the reason is the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string } };
  return oneLine(error instanceof TypeError && cause?.message ? cause.message : (message ?? String(error)), 300);
}
