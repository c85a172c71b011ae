import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { expect } from 'vitest';
import { accountRefresh } from '#events/billing/account-refresh.ts';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { openKillBill } from '#shared/adapters/kill-bill/client.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { Failure } from '#shared/domain/failure.ts';
import { httpFunction } from '#shared/runtime/http-function.ts';
import { askForDueLooks } from '#shared/runtime/kill-bill/look.ts';
import { openLog } from '#shared/runtime/log.ts';
import { type KillBillStandIn, killBillAccess, startKillBill } from '#shared/sandbox/kill-bill/server.ts';
import { billingWorld, eventSource } from './billing/billing.fixture.ts';
import type { BillingEvent } from './billing/handler.ts';
import { refreshHandler } from './billing/refresh.ts';
import { billingWebhookHandler } from './billing-webhook/handler.ts';
import { verifiersOf } from './billing-webhook/signed.ts';

export const token = 'the-token-of-the-callback';
export const signingSecret = `whsec_${Buffer.from('a secret of a billing service').toString('base64')}`;

/** As the older platform wrote them. */
export const acmeFields = {
  instance_name: 'Acme',
  instance_admin_email: 'owner@acme.example',
  instance_database_name: 'acme_odoo',
};

type OutboxRow = { id: string; type: string; source: string; data: Record<string, unknown> };

/**
 * Kill Bill's stand-in, the webhook it posts to, and the billing function with its real records; the broker is played by
 * `settle`, the operations' functions by rows.
 */
export async function killBillWorld(database: () => Database) {
  const billing = billingWorld(database);
  const standIn: KillBillStandIn = await startKillBill();
  const killBill = openKillBill({ url: standIn.url, ...killBillAccess });
  const log = openLog({ name: 'test', level: 'silent' });
  const state = { isDatabaseAway: false };
  const handle = billingWebhookHandler({
    database: {
      ...database(),
      transaction: (work) => (state.isDatabaseAway ? Promise.reject(awayFailure()) : database().transaction(work)),
    },
    flush: async () => undefined,
    eventSource,
    log,
    killBillTokens: [token, 'the-next-token'],
    verifiers: verifiersOf([signingSecret]),
  });
  const handler = httpFunction(handle, { log });
  const server: Server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  standIn.callbacks.push(`${url}/kill-bill?token=${token}`);
  const refresh = refreshHandler({
    ...{ database: database(), killBill, dueDays: 1, eventSource, log },
    flush: async () => undefined,
    now: standIn.clock,
  });

  /** Hands on what waits in the outbox, as a broker would; what billing asks of operations stays. */
  async function drain(): Promise<void> {
    for (let round = 0; round < 20; round += 1) {
      const waiting = await billing.rows<OutboxRow>(
        `update outbox set published_at = now() where published_at is null and type !~ '\\.requested$'
         returning id, type, source, data`,
      );
      if (waiting.length === 0) return;
      for (const one of waiting) await handOn(one);
    }
    throw new Error('the outbox never becomes empty');
  }

  async function handOn({ id, type, source, data }: OutboxRow): Promise<void> {
    if (type === accountRefresh.type) return void (await refresh(String(data['account'])));
    const event = { specversion: '1.0', id, type, source, data, extensions: {}, dataHash: hashOfData(data) };
    await billing.handle(event as unknown as BillingEvent);
  }

  return {
    ...standIn,
    ...billing,
    standIn,
    url,
    state,
    refresh,
    drain,
    /** Everything that Kill Bill has to say is delivered, and what follows is done. */
    async settle(order?: Parameters<KillBillStandIn['push']['deliver']>[0]): Promise<void> {
      await standIn.push.deliver(order);
      await drain();
    },
    /** A tick, as if the waits of looks were over. */
    async tickLooks(): Promise<void> {
      await database().query(
        `update kill_bill_accounts set look_at = now(), sent_at = null, leased_until = null where look_at is not null`,
      );
      await askForDueLooks({ database: database(), eventSource });
      await drain();
    },
    /** What was asked of operations, in order. */
    asked: async () => (await billing.asked()).filter(({ kind }) => !kind.startsWith('dev.')),
    /** What was said of subscriptions, in order. */
    async said(): Promise<{ type: string; data: Record<string, unknown> }[]> {
      const events = await billing.asked();
      return events
        .filter(({ kind }) => kind.startsWith('dev.odoofleet.billing.') && kind !== accountRefresh.type)
        .map(({ kind, data }) => ({ type: kind.slice('dev.odoofleet.billing.'.length), data }));
    },
    async saidTypes(): Promise<string[]> {
      return (await this.said()).map(({ type }) => type);
    },
    async operations(): Promise<string[]> {
      return (await this.asked()).map(({ kind }) => kind);
    },
    post: (path: string, body: string, headers: Record<string, string> = {}) =>
      fetch(`${url}${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }),
    async resetAll(): Promise<void> {
      await billing.reset();
      await database().query('truncate billing_notifications, kill_bill_accounts cascade');
      standIn.push.lose();
      standIn.push.statuses.length = 0;
      standIn.state.before = undefined;
      state.isDatabaseAway = false;
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      server.close();
      await killBill.close();
      await standIn.stop();
    },
    /** A paid subscription whose instance is there. */
    async running(planName = 'small'): Promise<{ account: string; subscription: string; instance: string }> {
      const account = standIn.desk.account();
      const instance = await billing.addInstance();
      const subscription = standIn.desk.subscribe(account, { phaseType: 'EVERGREEN', planName });
      standIn.desk.addFields(subscription, { target_instance_id: instance });
      const invoice = standIn.desk.invoice([subscription]);
      standIn.desk.pay(invoice);
      await this.settle();
      expect(await this.operations()).toEqual([]);
      return { account, subscription, instance };
    },
  };
}

/** A message of a billing service by the Standard Webhooks signature: its body, and the headers that belong to it. */
export function signed(id: string, message: object, { at = new Date(), secret = signingSecret } = {}) {
  const body = JSON.stringify(message);
  const signature = new Webhook(secret).sign(id, at, body);
  const stamp = String(Math.floor(at.getTime() / 1000));
  return { body, headers: { 'webhook-id': id, 'webhook-timestamp': stamp, 'webhook-signature': signature } };
}

/** Posts it, and resolves with the status of the answer. */
export async function postSigned(
  world: Pick<Awaited<ReturnType<typeof killBillWorld>>, 'post'>,
  ...message: Parameters<typeof signed>
): Promise<number> {
  const { body, headers } = signed(...message);
  const answer = await world.post('/events', body, headers);
  await answer.arrayBuffer();
  return answer.status;
}

function awayFailure(): Failure {
  return new Failure('unavailable', 'The database is away.');
}
