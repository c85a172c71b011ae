import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { accountRefresh } from '#events/billing/account-refresh.ts';
import { inParallel, killAt } from '#scripts/test/crash/case.ts';
import { everyOfLife } from '#scripts/test/crash/compare.ts';
import { evenly } from '#scripts/test/crash/life-points.ts';
import { printLines } from '#scripts/test/crash/life-table.ts';
import { openPublisher, type Publisher } from '#shared/adapters/eventing/publish.ts';
import { upsertSourceRule } from '#shared/adapters/postgres/sources.ts';
import { askForDueLooks, lookEvent } from '#shared/runtime/kill-bill/look.ts';
import { flushOutbox } from '#shared/runtime/outbox.ts';
import { becomeReady, startInstance } from '#shared/sandbox/functions/instance.ts';
import { type KillBillStandIn, killBillAccess, startKillBill } from '#shared/sandbox/kill-bill/server.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { rawEvent } from '#shared/testing/fleet.ts';
import { insertCatalogue, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { PassedPoint, Stop } from '#shared/testing/stop-points/counter.ts';
import { makeStopFolder, readPoints, stopPointEnvironment } from '#shared/testing/stop-points/folder.ts';

// The function as a process of its own, killed at the points around its calls while it reads an account of Kill Bill; another
// process goes on, asked by the tick. The broker is a server that takes everything.

/** Points that are tried; all of them with `CRASH_EVERY=1`. */
const points = everyOfLife === 1 ? 1_000 : 12;

const eventSource = 'urn:odoo-fleet';
const made = databaseOfThisFile();
const records = platformOfThisFile(made);
let group: ProcessGroup;
let folder: string;
let killBill: KillBillStandIn;
let broker: Server;
let settings: Record<string, string>;
let publisher: Publisher;
let survivor: string;
let started = 0;
const dispatcher = new Agent();
/** Types of events the broker has taken, by id. */
const taken = new Map<string, { type: string; subject: string }>();

beforeAll(async () => {
  await insertCatalogue(records());
  await upsertSourceRule(records(), eventSource, { eventType: accountRefresh.type, customerId: null, mustSign: false });
  group = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'crash-look-'));
  killBill = await startKillBill();
  broker = createServer(({ headers }, response) => {
    const [id, type, subject] = [headers['ce-id'], headers['ce-type'], headers['ce-subject']];
    taken.set(String(id), { type: String(type), subject: String(subject) });
    response.writeHead(202).end();
  });
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
  settings = await settingsOf(folder);
  publisher = openPublisher({ brokerUrl: settings['BROKER_URL'] ?? '' });
  survivor = (await start()).url;
});
afterAll(async () => {
  await group.stopAll();
  await publisher.end();
  await dispatcher.close();
  broker.closeAllConnections();
  await new Promise((resolve) => broker.close(resolve));
  await killBill.stop();
  await rm(folder, { recursive: true });
});

/** Written once: a process that starts while another one's files are written anew would find them empty. */
async function settingsOf(place: string): Promise<Record<string, string>> {
  const secret = async (name: string, value: string): Promise<string> => {
    await writeFile(join(place, name), value, { mode: 0o600 });
    return join(place, name);
  };
  return {
    ...platformSettings(made(), await secret('database', made().password)),
    KILL_BILL_URL: killBill.url,
    KILL_BILL_PASSWORD_FILE: await secret('password', killBillAccess.password),
    KILL_BILL_API_KEY_FILE: await secret('key', killBillAccess.apiKey),
    KILL_BILL_API_SECRET_FILE: await secret('secret', killBillAccess.apiSecret),
    BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`,
  };
}

async function start(stopFolder?: string) {
  started += 1;
  const env = {
    PATH: process.env['PATH'] ?? '',
    LOG_LEVEL: 'warn',
    ...settings,
    ...(stopFolder === undefined ? {} : stopPointEnvironment(stopFolder)),
  };
  const program = { command: process.execPath, args: [join(import.meta.dirname, 'main.ts')], env };
  const instance = await startInstance('billing', program, { number: started, folder, processes: group });
  await becomeReady(instance, { dispatcher, withinMs: 120_000 });
  return { url: `http://127.0.0.1:${instance.port}/`, running: instance.process };
}

/** Asks a process to look. Undefined: it was lost at it. */
async function look(url: string, account: string): Promise<number | undefined> {
  const { id, type, source, subject, data } = lookEvent(eventSource, account);
  const { headers, body } = rawEvent({ id, type, source, data, attributes: { subject: subject ?? '' } });
  return await fetch(url, { method: 'POST', headers, body }).then(
    ({ status }) => status,
    () => undefined,
  );
}

/** An account with a subscription that was just paid, of which a notification was taken. */
async function account(): Promise<{ id: string; subscription: string }> {
  const id = killBill.desk.account(`c-${randomUUID()}`);
  const subscription = killBill.desk.subscribe(id, { phaseType: 'EVERGREEN' });
  // nobody's: what billing makes of the events is tried elsewhere
  killBill.desk.addFields(subscription, { target_instance_id: testInstanceId(1) });
  killBill.desk.pay(killBill.desk.invoice([subscription]));
  killBill.push.lose();
  await records().query('insert into kill_bill_accounts (id, look_at) values ($1, clock_timestamp())', [id]);
  return { id, subscription };
}

type Case = { wasKilled: boolean; points: PassedPoint[]; end: object };

/** A look that is lost at the stop, and what others make of it when the lease is over. */
async function runCase(name: string, stops: readonly Stop[]): Promise<Case> {
  const place = join(folder, name);
  await makeStopFolder(place, ...stops);
  const victim = await start(place);
  const { id, subscription } = await account();
  const status = await look(victim.url, id);
  const dead = await records().query('select reason from dead_events');
  expect(dead.rows).toEqual([]);
  await victim.running.stop();
  const { signal } = await victim.running.exited;
  // a killed process' transaction is undone a moment later: ticks come again and again
  const isSaid = async () => {
    await tick(id);
    expect(await waiting(id, subscription)).toBe(0);
  };
  await vi.waitFor(isSaid, { timeout: 60_000, interval: 200 });
  return {
    wasKilled: status === undefined && signal === 'SIGKILL',
    points: await readPoints(place),
    end: await endOf(id, subscription),
  };
}

/** What time brings about: the lease is over, and whoever was sent the event has had his; what the tick asks for is done, and what waits is sent. */
async function tick(account: string): Promise<void> {
  await records().query(
    `update kill_bill_accounts set leased_until = case when leased_until is null then null else clock_timestamp() end,
       sent_at = null where id = $1`,
    [account],
  );
  await askForDueLooks({ database: records(), eventSource });
  const asked = await records().query(
    `select from outbox where type = $1 and data ->> 'account' = $2 and published_at is null`,
    [accountRefresh.type, account],
  );
  if (asked.rowCount > 0) expect(await look(survivor, account)).toBe(204);
  await flushOutbox(records(), publisher.publish);
}

/** Looks that are to come, and events that are to be published. */
async function waiting(account: string, subscription: string): Promise<number> {
  const { rows } = await records().query<{ count: number }>(
    `select ((select count(*) from kill_bill_accounts where id = $1 and asked <> looked)
       + (select count(*) from outbox where data ->> 'subscription' = $2 and published_at is null))::integer as count`,
    [account, subscription],
  );
  return rows[0]?.count ?? 0;
}

async function endOf(id: string, subscription: string): Promise<object> {
  const one = async (text: string, values: unknown[]) => (await records().query(text, values)).rows;
  return {
    account: await one(
      'select asked = looked as is_looked, look_at is null as is_done, last_error, attempts from kill_bill_accounts where id = $1',
      [id],
    ),
    said: await one('select sequence from kill_bill_subscriptions where account_id = $1', [id]),
    payments: await one('select count(*)::integer as count from kill_bill_payments where account_id = $1', [id]),
    written: await one(
      `select type, data ->> 'sequence' as sequence, published_at is not null as is_published from outbox
       where data ->> 'subscription' = $1 order by data ->> 'sequence'`,
      [subscription],
    ),
    published: [...taken.values()]
      .filter(({ subject }) => subject === subscription)
      .map(({ type }) => type)
      .toSorted(),
  };
}

test('a look that is killed is made by another, and all is said once', { timeout: 1_800_000 }, async () => {
  const reference = await runCase('reference', []);
  expect(reference).toMatchObject({
    wasKilled: false,
    end: {
      account: [{ is_looked: true, is_done: true, last_error: null, attempts: 0 }],
      said: [{ sequence: 2 }],
      payments: [{ count: 1 }],
      written: [{ is_published: true }, { is_published: true }],
      published: ['dev.odoofleet.billing.invoice.paid', 'dev.odoofleet.billing.subscription.created'],
    },
  });
  const chosen = evenly(reference.points, points);
  const wrong: unknown[] = [];
  let killed = 0;
  await inParallel(chosen, 3, async (point) => {
    const { end, wasKilled } = await runCase(`point-${point.number}`, [killAt(point)]);
    if (wasKilled) killed += 1;
    if (JSON.stringify(end) !== JSON.stringify(reference.end)) wrong.push({ point, end });
  });
  printLines(`a look | ${reference.points.length} stop points | ${chosen.length} tried | ${killed} killed`, []);
  expect(wrong).toEqual([]);
  expect(killed).toBeGreaterThan(chosen.length / 2);
});
