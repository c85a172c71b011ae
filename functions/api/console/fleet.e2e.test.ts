import { randomUUID } from 'node:crypto';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { pageAnswers } from '#shared/testing/life.ts';
import { type HeldWorker, heldWorker, inDatabase } from '../../backup.fixture.ts';
import { keyFor } from '../started-api.fixture.ts';
import { type Browser, openBrowser, shoot, whyNoBrowser } from './browser.fixture.ts';

// One instance's life, as people see it: the tests go on from each other.

const obstacle = await whyNoBrowser();
const name = 'acme-of-the-long-and-winding-name-test';
const customer = `customer-${'0123456789'.repeat(5)}`;

let worker: HeldWorker | undefined;
let running: { fleet: TestFleet; end(): Promise<void> } | undefined;
let browser: Browser | undefined;
let keys: { admin: string; owner: string; stranger: string };
let page: Page;
let complaints: string[];
let id: string;

const fleet = (): TestFleet => {
  if (running === undefined) throw new Error('the fleet is started in beforeAll');
  return running.fleet;
};

async function prepare(): Promise<void> {
  worker = await heldWorker();
  running = await startTestFleet({ hasVerificationServer: true, worker: worker.image });
  await untilWarm(fleet());
  const reached = `select 1 from db_servers where purpose = 'verification' and reached_at is not null`;
  await until('the server for verifications to be reached', async () => (await fleet().rows(reached)).length > 0);
  await fleet().rows('insert into customers (id) values ($1), ($2)', [customer, 'c-2']);
  keys = {
    admin: await keyFor(fleet(), 'admin'),
    owner: await keyFor(fleet(), 'customer', customer),
    stranger: await keyFor(fleet(), 'customer', 'c-2'),
  };
  browser = await openBrowser();
}

/** A tab of whoever has the key. */
async function signedIn(key: string, options: Parameters<Browser['tab']>[0] & { at?: string } = {}) {
  if (browser === undefined) throw new Error('the browser is opened in beforeAll');
  const opened = await browser.tab(options);
  opened.page.setDefaultTimeout(60_000);
  const answer = await opened.page.goto(`${fleet().functions.url('api')}/console${options.at ?? ''}`);
  expect([answer?.status(), opened.complaints]).toEqual([200, []]);
  await opened.page.getByLabel('Token').fill(key);
  await opened.page.keyboard.press('Enter');
  await opened.page.getByRole('button', { name: 'Sign out' }).waitFor();
  return opened;
}

async function ask(button: string): Promise<void> {
  await page.getByRole('button', { name: button, exact: true }).first().press('Enter');
  await page.locator('#dialog-yes').press('Enter');
}

const progress = (text: string | RegExp) =>
  page.locator('#progress-state').getByText(text).waitFor({ timeout: 90_000 });
const state = (text: string) => page.locator('#state').getByText(text, { exact: true }).waitFor();
const message = (text: string | RegExp) => page.locator('#message').getByText(text).waitFor();
const lost = 'This page tries again by itself.';
const inOdoo = (text: string) => inDatabase(fleet(), namesOf(id).database, text);
const marks = () => inOdoo(`select value from ir_config_parameter where key = 'mark'`);

describe.runIf(obstacle === undefined)('the console before a whole fleet', () => {
  beforeAll(prepare, 240_000);
  afterEach(({ onTestFailed }) => onTestFailed(() => shoot(page, 'failed')));
  afterAll(async () => {
    await browser?.end();
    await running?.end();
    await worker?.end();
  });

  test('keeps out what is no key, and says so', async () => {
    if (browser === undefined) throw new Error('the browser is opened in beforeAll');
    ({ page, complaints } = await browser.tab());
    page.setDefaultTimeout(60_000);
    await page.goto(`${fleet().functions.url('api')}/console`);
    for (const wrong of [`fleet_${'x'.repeat(43)}`, 'two words', keys.owner.slice(0, -1)]) {
      await page.getByLabel('Token').fill(wrong);
      await page.keyboard.press('Enter');
      await page.locator('#message[data-kind=bad]').waitFor();
      await shoot(page, `wrong-key-${wrong.length}`);
      await page.getByLabel('Token').waitFor();
    }
  });

  test('makes an instance, and shows how it comes about until it runs', async () => {
    complaints.length = 0;
    await page.getByLabel('Token').fill(keys.owner);
    await page.keyboard.press('Enter');
    await page.getByText('There are none yet.').waitFor();
    await shoot(page, 'empty');
    await page.getByRole('link', { name: 'New instance' }).press('Enter');
    await page.getByLabel('Name', { exact: true }).fill('www');
    await page.getByLabel("Owner's e-mail").fill('owner@acme.example');
    await shoot(page, 'new');
    await page.keyboard.press('Enter');
    await page.locator('#mistake-name').getByText(/./).waitFor();
    await shoot(page, 'new-refused');
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.keyboard.press('Enter');
    await progress(/provision: (queued|running|waiting)/);
    await shoot(page, 'creating');
    await progress('provision: succeeded');
    await state('running');
    id = /instances\/([a-z2-7]{12})/.exec(page.url())?.[1] ?? '';
    await shoot(page, 'running');
    await pageAnswers(fleet(), name, 200);
    expect(complaints.filter((text) => !text.includes('400'))).toEqual([]);
  });

  test('shows a backup, and it as the last proven one once it was verified', async () => {
    await inOdoo(`insert into ir_config_parameter (key, value) values ('mark', 'before')`);
    await ask('Back up');
    await progress('backup: succeeded');
    await page.getByRole('row').getByText('not yet').waitFor();
    await ask('Prove newest backup');
    await progress(/verify: (running|waiting)/);
    await shoot(page, 'verifying');
    await progress('verify: succeeded');
    await page.getByText('(last proven)').waitFor();
    await shoot(page, 'proven');
  });

  test('stops and starts it after a question', async () => {
    await ask('Stop');
    await progress('stop: succeeded');
    await state('stopped');
    await pageAnswers(fleet(), name, 503);
    await ask('Start');
    await progress('start: succeeded');
    await state('running');
    await pageAnswers(fleet(), name, 200);
  });

  test('restores a backup after a question that says what is lost to it', async () => {
    await inOdoo(`update ir_config_parameter set value = 'after' where key = 'mark'`);
    await page.getByRole('button', { name: /^Restore the state of / }).press('Enter');
    await page.getByRole('dialog', { name: `Restore: ${name}?` }).waitFor();
    await shoot(page, 'restore-question');
    await page.keyboard.press('Escape');
    expect(await marks()).toEqual([{ value: 'after' }]);
    await page.keyboard.press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await progress(/restore: (running|waiting)/);
    await shoot(page, 'restoring');
    await progress('restore: succeeded');
    expect(await marks()).toEqual([{ value: 'before' }]);
    await state('running');
    expect(complaints.filter((text) => !text.includes('400'))).toEqual([]);
  });

  test('undoes the restore after a question, and offers the way back again', async () => {
    await ask('Undo restore');
    // that the one before has succeeded is still shown
    await progress(/restore: (queued|running|waiting)/);
    await progress('restore: succeeded');
    expect(await marks()).toEqual([{ value: 'after' }]);
    await state('running');
    await page.getByRole('button', { name: 'Undo restore' }).waitFor();
    await shoot(page, 'restore-undone');
    await pageAnswers(fleet(), name, 200);
  });

  test('says that the connection is lost when the API is killed, and goes on with what was at work', async () => {
    await worker?.hold();
    await ask('Back up');
    await progress(/backup: waiting/);
    // it stands there for seconds only
    const told = message(lost);
    expect(fleet().functions.kill('api', 'SIGKILL')).toHaveLength(1);
    await told;
    await shoot(page, 'lost');
    await message('The connection is back.');
    await shoot(page, 'back');
  });

  test('says that the records are away, and shows what was asked for when they are back', async () => {
    await fleet().servers.platform.stop();
    await page.getByRole('link', { name: 'Instances' }).press('Enter');
    await message(lost);
    await shoot(page, 'records-away');
    await fleet().servers.platform.restart();
    await message('The connection is back.');
    await page.getByRole('link', { name }).press('Enter');
    await progress(/backup: waiting/);
    await worker?.letGo();
    await progress('backup: succeeded');
    expect(await page.getByRole('row').count()).toBe(3);
  });

  test('says that a backup has failed, and goes on with it when somebody wants that', async () => {
    await worker?.fail('misconfigured: There is no such bucket.');
    await ask('Back up');
    await progress(/^backup: failed.*It could not be carried out/);
    await shoot(page, 'backup-failed');
    await worker?.letGo();
    await page.getByRole('button', { name: 'Try again' }).press('Enter');
    await progress('backup: succeeded');
    expect(await page.getByRole('button', { name: 'Try again' }).count()).toBe(0);
  });

  test('shows an admin a dead letter, who has it done once what was wrong is put right', async () => {
    const source = 'urn:test:late';
    const allow = (type: string) =>
      fleet().rows('insert into sources (source, event_type) values ($1, $2)', [
        source,
        `dev.odoofleet.instance.${type}.requested`,
      ]);
    await allow('start');
    const stop = { id: randomUUID(), type: 'dev.odoofleet.instance.stop.requested', source, data: { instance: id } };
    await fleet().publish(stop);
    await until('the dead letter', async () => (await fleet().rows('select 1 from dead_events')).length > 0);
    const admin = await signedIn(keys.admin, { at: '#/dead-letters' });
    await admin.page.getByText('dev.odoofleet.instance.stop.requested', { exact: true }).waitFor();
    await shoot(admin.page, 'dead-letter');
    await allow('stop');
    const told = admin.page.locator('#message');
    await until('its function to know of the rule', async () => {
      await admin.page.getByRole('button', { name: /^Replay / }).press('Enter');
      await admin.page.locator('#dialog-yes').press('Enter');
      await told.getByText(/^Dead letter \d+: /).waitFor();
      return (await told.textContent())?.includes('sent');
    });
    await shoot(admin.page, 'replayed');
    await admin.page.goto(`${fleet().functions.url('api')}/console#/instances/${id}`);
    await admin.page.locator('#state').getByText('stopped', { exact: true }).waitFor();
    await shoot(admin.page, 'admin-stopped');
    await admin.page.getByRole('link', { name: 'Instances' }).press('Enter');
    await admin.page.getByRole('columnheader', { name: 'Customer' }).waitFor();
    await shoot(admin.page, 'admin-list');
  });

  test('shows a customer nothing of what is not his', async () => {
    const stranger = await signedIn(keys.stranger);
    await stranger.page.getByText('There are none yet.').waitFor();
    const { page: theirs } = stranger;
    await theirs.goto(`${fleet().functions.url('api')}/console#/instances/${id}`);
    await theirs.locator('#message').getByText('There is no such instance.').waitFor();
    await theirs.getByRole('heading', { name: 'There is nothing here' }).waitFor();
    await shoot(theirs, 'stranger');
    expect(await theirs.locator('main').textContent()).not.toContain(name);
    await theirs.goto(`${fleet().functions.url('api')}/console#/dead-letters`);
    await theirs.locator('#message').getByText('admin:read').waitFor();
    await shoot(theirs, 'stranger-dead-letters');
    const { page: own } = await signedIn(keys.owner, { width: 360, colorScheme: 'dark', at: `#/instances/${id}` });
    await own.getByText('(last proven)').waitFor();
    await shoot(own, 'own-narrow-dark');
    for (const word of ['Suspend', 'Repair']) expect(await own.getByRole('button', { name: word }).count()).toBe(0);
    for (const word of ['Dead letters', 'Database server', 'Customer'])
      expect(await own.getByText(word, { exact: true }).isVisible()).toBe(false);
    expect(await own.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
  });

  test('lets nobody go on whose key has expired meanwhile', async () => {
    await fleet().rows(`update api_keys set expires_at = now() where customer_id = $1`, [customer]);
    await until('the key to be refused', async () => {
      await page.reload();
      await page.getByRole('heading', { level: 1 }).waitFor();
      return (await page.getByLabel('Token').count()) > 0;
    });
    await message('The API key has expired.');
    await shoot(page, 'expired');
    expect(await page.locator('main').textContent()).not.toContain(name);
  });
});
