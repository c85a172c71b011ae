import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { type KillBillStandIn, killBillAccess, startKillBill } from '#shared/sandbox/kill-bill/server.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { instanceSeen, operationsOf, settled } from '#shared/testing/life.ts';

const token = 'a-token-that-only-kill-bill-knows';
let folder: string;
let killBill: KillBillStandIn;
let running: Awaited<ReturnType<typeof startTestFleet>>;
let fleet: TestFleet;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-kill-bill-'));
  killBill = await startKillBill();
  const secret = async (name: string, value: string) => {
    await writeFile(join(folder, name), value, { mode: 0o600 });
    return join(folder, name);
  };
  running = await startTestFleet({
    functionSettings: {
      KILL_BILL_URL: killBill.url,
      KILL_BILL_PASSWORD_FILE: await secret('password', killBillAccess.password),
      KILL_BILL_API_KEY_FILE: await secret('key', killBillAccess.apiKey),
      KILL_BILL_API_SECRET_FILE: await secret('secret', killBillAccess.apiSecret),
      KILL_BILL_WEBHOOK_TOKEN_FILE: await secret('token', token),
    },
  });
  fleet = running.fleet;
  killBill.callbacks.push(`${fleet.functions.url('billing-webhook')}/kill-bill?token=${token}`);
  await untilWarm(fleet);
});
afterAll(async () => {
  await running?.end();
  await killBill?.stop();
  await rm(folder, { recursive: true, force: true });
});

const page = (status: number) =>
  until(`the page to answer ${status}`, async () => (await fleet.loginPage('acme')) === status, { timeoutMs: 90_000 });

it('a customer’s Odoo follows what Kill Bill tells, and what it could not tell while it was down', async () => {
  const subscription = killBill.desk.subscribe(killBill.desk.account('c-1'));
  const instance = deriveInstanceId('urn:odoo-fleet', `subscription ${subscription}`);
  await killBill.push.deliver();
  // The older platform wrote the fields after the subscription.
  const fields = { instance_name: 'Acme', instance_admin_email: 'owner@acme.example', instance_database_name: 'acme' };
  killBill.desk.addFields(subscription, fields);
  await killBill.push.deliver();
  await page(200);

  killBill.desk.setPaused(subscription, true);
  await killBill.push.deliver();
  await page(402);
  killBill.desk.setPaused(subscription, false);
  await killBill.push.deliver();
  await page(200);
  // the page answers before the operation ends
  await settled(fleet, instance);

  // It tells of the end, and cannot be asked.
  killBill.desk.cancel(subscription);
  await killBill.goDown();
  await killBill.push.deliver();
  await until('a look that failed', async () => {
    const rows = await fleet.rows('select 1 from kill_bill_accounts where attempts > 0');
    return rows.length > 0;
  });
  expect((await instanceSeen(fleet, instance)).status).toBe('running');
  await killBill.comeBack();
  await until('its end', async () => (await instanceSeen(fleet, instance)).status === 'terminated', {
    timeoutMs: 90_000,
  });

  expect(new Set(killBill.push.statuses)).toEqual(new Set([202]));
  expect((await operationsOf(fleet, instance)).map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'provision succeeded',
    'suspend succeeded',
    'resume succeeded',
    'terminate succeeded',
  ]);
  expect(await fleet.rows('select reason from dead_events')).toEqual([]);
});

it('neither its token nor our access to it is in a log', async () => {
  const logs = join(fleet.folder, 'functions');
  const files = (await readdir(logs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  expect(files).not.toEqual([]);
  for (const { parentPath, name } of files) {
    const text = await readFile(join(parentPath, name), 'utf8');
    for (const secret of [token, killBillAccess.password, killBillAccess.apiSecret]) {
      expect(text.includes(secret), `${name} holds a secret`).toBe(false);
    }
  }
});
