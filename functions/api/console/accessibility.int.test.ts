import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';
import { obstaclesOf, tabThrough } from './accessibility.fixture.ts';
import { type Browser, openBrowser, shoot, whyNoBrowser } from './browser.fixture.ts';

const obstacle = await whyNoBrowser();
const ids = Array.from({ length: 45 }, (_, at) => testInstanceId(at));
const longName = 'a-name-that-is-exactly-as-long-as-may-be';
const api = apiOfThisFile();

describe.runIf(obstacle === undefined)('the console, to whoever does not see it or has no mouse', () => {
  let browser: Browser | undefined;
  beforeAll(async () => {
    await insertRows();
    browser = await openBrowser();
  });
  afterAll(() => browser?.end());

  async function signedIn(at: string, options: Parameters<Browser['tab']>[0] = {}) {
    if (browser === undefined) throw new Error('the browser is opened in beforeAll');
    const { page } = await browser.tab(options);
    await page.goto(`${api().url}/console${at}`);
    await page.getByLabel('Token').waitFor();
    expect(await obstaclesOf(page)).toEqual([]);
    await page.getByLabel('Token').fill('admin');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    return page;
  }

  const pages = [
    ['many', '#/instances', 'Instances'],
    ['new-instance', '#/new', 'New instance'],
    ['long-names', `#/instances/${ids[1]}`, longName],
    ['many-letters', '#/dead-letters', 'Dead letters'],
  ] as const;
  const looks = [
    ['', {}],
    ['-dark', { colorScheme: 'dark' as const }],
    ['-narrow', { width: 360 }],
    ['-narrow-dark', { colorScheme: 'dark' as const, width: 360 }],
  ] as const;

  test.each(looks.flatMap(([look, options]) => pages.map((page) => [...page, look, options] as const)))(
    'has nothing in the way: %s (%s, %s)%s',
    async (name, at, heading, look, options) => {
      const page = await signedIn(at, options);
      await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
      expect(await obstaclesOf(page)).toEqual([]);
      await shoot(page, `${name}${look}`);
      await page.close();
    },
  );

  test.each(pages)('is gone through by Tab in the order it is read, and left: %s', async (_name, at, heading) => {
    const page = await signedIn(at);
    await page.getByRole('heading', { name: heading, level: 1 }).waitFor();
    const met = await tabThrough(page);
    expect(met.slice(0, 4)).toEqual(['To the content', 'Instances', 'Dead letters', 'Sign out']);
    const order = `[...document.querySelectorAll('a[href], button, input, select')].filter((one) => one.checkVisibility() && !one.disabled).length`;
    expect(met).toHaveLength(Number(await page.evaluate(order)));
    await page.close();
  });

  test('asks a question from which Tab and Escape get out, and gives the keyboard back', async () => {
    const page = await signedIn(`#/instances/${ids[1]}`);
    const button = page.getByRole('button', { name: 'Terminate' });
    await button.press('Enter');
    await page.getByRole('dialog').waitFor();
    const answers = page.getByRole('dialog').getByRole('button');
    expect(await answers.allTextContents()).toEqual(['Leave it as it is', 'Terminate']);
    expect(await page.evaluate('document.activeElement.id')).toBe('dialog-no');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Tab');
    // what lies behind is out of reach
    expect(await page.evaluate(`document.getElementById('dialog').contains(document.activeElement)`)).toBe(true);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Terminate');
  });

  test('marks a field that was refused, says why, and takes the keyboard there', async () => {
    const page = await signedIn('#/new');
    await page.getByLabel('Name', { exact: true }).fill('www');
    await page.getByLabel("Owner's e-mail").fill('owner@acme.example');
    await page.getByLabel('Customer').fill('c-1');
    await page.keyboard.press('Enter');
    const name = page.getByRole('textbox', { name: 'Name', exact: true });
    await page.locator('#mistake-name').getByText('reserved').waitFor();
    expect(await name.getAttribute('aria-invalid')).toBe('true');
    expect(await page.evaluate('document.activeElement.name')).toBe('name');
    expect(await obstaclesOf(page)).toEqual([]);
    await name.fill('acme');
    expect(await name.getAttribute('aria-invalid')).toBeNull();
    expect(await page.locator('#mistake-name').textContent()).toBe('');
  });
});

async function insertRows(): Promise<void> {
  const { database } = api();
  await insertCatalogue(database);
  await insertServer(database, { id: 'pg-1', maxInstances: 10 });
  for (const id of ids) await insertTestInstance(database, id);
  await database.query(
    `update instances set status = 'running', generation = 1, observed_generation = 1, host = name || '.odoo.example'`,
  );
  await database.query(`insert into customers (id) values ($1)`, ['c'.repeat(64)]);
  await database.query(
    `update instances set name = $2, host = $2 || '.a-host-that-goes-on-and-on.' || repeat('x', 60) || '.example', customer_id = $3,
       status = 'error', status_reason = repeat('a-word-without-an-end', 8) where id = $1`,
    [ids[1], longName, 'c'.repeat(64)],
  );
  for (let day = 0; day < 12; day += 1)
    await database.query(
      `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
         snapshot_at, manifest_key, manifest_sha256, dump_bytes, files_bytes, files_count, uploaded_bytes, proof, proof_at)
       select $1, i.id, i.customer_id, 'scheduled', 'succeeded', 1, 'pg-1', 'wrapped-key', t, t, t, 'place', repeat('0', 64),
         20000000, 104000000, 2, 5, 'proven', t
       from instances i, (select timestamptz '2027-02-01Z' + $3 * interval '1 day') as at (t) where i.id = $2`,
      [randomUUID(), ids[1], day],
    );
  for (let number = 0; number < 30; number += 1)
    await database.query(
      `insert into dead_events (source, id, type, received_by, reason_code, reason, body, digest)
       values ('urn:x', $1, 'dev.odoofleet.instance.stop.requested', 'stop', 'invalid-event', repeat('why', 60), '{}', $2)`,
      [randomUUID(), createHash('sha256').update(String(number)).digest()],
    );
}
