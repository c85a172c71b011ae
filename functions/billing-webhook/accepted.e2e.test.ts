import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { request } from 'undici';
import { afterAll, expect, test } from 'vitest';
import { subscriptionCreated } from '#events/billing/subscription-created.ts';
import { killBillAccess, startKillBill } from '#shared/sandbox/kill-bill/server.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { type StartedFunction, startFunction } from '#shared/testing/started-function.ts';

/** How many accepted notifications are lost sight of by a kill; `ACCEPTED_NOTIFICATIONS=1000` for a long run. */
const wanted = Number(process.env['ACCEPTED_NOTIFICATIONS'] ?? '100');
const atOnce = 10;

const token = 'a-token-that-only-kill-bill-knows';
const secret = `whsec_${randomBytes(32).toString('base64')}`;
const killBill = await startKillBill();
const folder = await mkdtemp(join(tmpdir(), 'fleet-accepted-'));
afterAll(async () => {
  await killBill.stop();
  await rm(folder, { recursive: true, force: true });
});

async function secretFile(name: string, value: string): Promise<string> {
  await writeFile(join(folder, name), value, { mode: 0o600 });
  return join(folder, name);
}

const fleet = fleetOfThisFile({
  functionSettings: {
    KILL_BILL_URL: killBill.url,
    KILL_BILL_PASSWORD_FILE: await secretFile('password', killBillAccess.password),
    KILL_BILL_API_KEY_FILE: await secretFile('key', killBillAccess.apiKey),
    KILL_BILL_API_SECRET_FILE: await secretFile('secret', killBillAccess.apiSecret),
    KILL_BILL_WEBHOOK_TOKEN_FILE: await secretFile('token', token),
    BILLING_WEBHOOK_SECRET_FILE: await secretFile('signing', secret),
  },
});

/** A notification, and the subscription that an event has to be published of. */
type Notified = { subscription: string; path: string; body: string; headers: Record<string, string> };

// Nobody's instance: what billing makes of the events is tried elsewhere.
const instance = testInstanceId(1);

/** A new account with a subscription, and one of what Kill Bill tells of it. */
function byKillBill(): Notified {
  const account = killBill.desk.account(`c-${randomUUID()}`);
  const subscription = killBill.desk.subscribe(account, { phaseType: 'EVERGREEN' });
  killBill.desk.addFields(subscription, { target_instance_id: instance });
  killBill.push.lose();
  const about = { accountId: account, objectType: 'SUBSCRIPTION', objectId: subscription, metaData: null };
  const body = JSON.stringify({ eventType: 'SUBSCRIPTION_CREATION', ...about });
  return { subscription, path: `/kill-bill?token=${token}`, body, headers: {} };
}

/** What a service says that signs. */
function bySigner(): Notified {
  const subscription = randomUUID();
  const data = { ...subscriptionCreated.example, subscription, customer: `c-${randomUUID()}`, instance };
  const { configuration: _none, ...said } = data as typeof data & { configuration?: unknown };
  const body = JSON.stringify({ type: subscriptionCreated.type, data: said });
  const id = `msg_${subscription}`;
  const at = new Date();
  const signature = new Webhook(secret).sign(id, at, body);
  const stamp = String(Math.floor(at.getTime() / 1_000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': stamp, 'webhook-signature': signature };
  return { subscription, path: '/events', body, headers };
}

async function notify({ url, dispatcher }: StartedFunction, { path, body, headers }: Notified): Promise<number> {
  const answer = await request(`${url}${path}`, {
    method: 'POST',
    dispatcher,
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  await answer.body.dump();
  return answer.statusCode;
}

/** Tells many things at once, and kills the process in the moment in which the nth answer is there. Those that were acknowledged. */
async function acknowledgedBeforeKill(webhook: StartedFunction, nth: number): Promise<Notified[]> {
  const acknowledged: Notified[] = [];
  let isKilled = false;
  const tell = async (one: Notified) => {
    const status = await notify(webhook, one);
    // on a busy machine: its sender tells it again
    if (status === 503) return;
    if (status !== 202) throw new Error(`${one.path.split('?', 1).join()} was answered ${status}`);
    acknowledged.push(one);
    if (acknowledged.length < nth || isKilled) return;
    isKilled = true;
    webhook.kill();
  };
  // those that the kill has cut off were acknowledged by nobody
  const cutOff = (error: unknown) => {
    if (!isKilled) throw error;
  };
  const all = Array.from({ length: atOnce }, (_, n) => (n % 2 === 0 ? byKillBill() : bySigner()));
  await Promise.all(all.map((one) => tell(one).catch(cutOff)));
  if (!isKilled) webhook.kill();
  await webhook.ended;
  return acknowledged;
}

const subscriptionsOf = (all: readonly Notified[]) => all.map(({ subscription }) => subscription);

/** Those that are not in the records. */
async function missing(acknowledged: readonly Notified[]): Promise<string[]> {
  const ids = subscriptionsOf(acknowledged);
  const rows = await fleet().rows<{ object_id: string }>(
    'select object_id from billing_notifications where object_id = any($1)',
    [ids],
  );
  const there = new Set(rows.map(({ object_id }) => object_id));
  return ids.filter((id) => !there.has(id));
}

test(
  'what was acknowledged becomes one published event, though the process is killed right after the answer, again and again',
  async () => {
    const all: Notified[] = [];
    let next = startFunction(fleet(), 'billing-webhook');
    for (let round = 0; all.length < wanted; round += 1) {
      const webhook = await next;
      // starts while this one is at work
      next = startFunction(fleet(), 'billing-webhook');
      const acknowledged = await acknowledgedBeforeKill(webhook, 1 + (round % atOnce));
      expect(await missing(acknowledged)).toEqual([]);
      all.push(...acknowledged);
    }
    const last = await next;
    // whoever did not hear the answer tells it again: nothing is done twice
    const tellAgain = (one: Notified) => async () => {
      const status = await notify(last, one);
      if (status !== 503) expect(status).toBe(202);
      return status === 202;
    };
    for (const one of all.slice(-atOnce)) await until('a notification to be taken again', tellAgain(one));
    await last.stop();
    const ids = subscriptionsOf(all);
    const events = () =>
      fleet().rows<{ subscription: string; published: number; waiting: number }>(
        `select data ->> 'subscription' as subscription, count(published_at)::integer as published,
           count(*) filter (where published_at is null)::integer as waiting
         from outbox where type = $2 and data ->> 'subscription' = any($1) group by 1`,
        [ids, subscriptionCreated.type],
      );
    await until(
      'every acknowledged notification to be published',
      async () => {
        const rows = await events();
        return rows.length === new Set(ids).size && rows.every(({ waiting }) => waiting === 0);
      },
      { timeoutMs: 120_000 },
    );
    expect((await events()).filter(({ published }) => published !== 1)).toEqual([]);
    // and they came to whom they are for
    await until('billing to know of all', async () => {
      const known = await fleet().rows('select id from subscriptions where id = any($1)', [ids]);
      return known.length === new Set(ids).size;
    });
    await until('every account to be looked at as often as it was asked for', async () => {
      const left = await fleet().rows('select id from kill_bill_accounts where asked <> looked');
      return left.length === 0;
    });
    expect(await fleet().rows('select reason from dead_events')).toEqual([]);
    expect(all.length).toBeGreaterThanOrEqual(wanted);
  },
  300_000 + wanted * 3_000,
);
