import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';
import { type Browser, openBrowser, whyNoBrowser } from './browser.fixture.ts';

const obstacle = await whyNoBrowser();
const id = testInstanceId(1);
const other = testInstanceId(2);
const api = apiOfThisFile();

describe.runIf(obstacle === undefined)('a question of the console', () => {
  let browser: Browser;
  beforeAll(async () => {
    await insertCatalogue(api().database);
    await insertServer(api().database, { id: 'pg-1', maxInstances: 10 });
    for (const one of [id, other]) await insertTestInstance(api().database, one);
    await api().database.query(`update instances set status = 'running', generation = 1, observed_generation = 1`);
    browser = await openBrowser();
  });
  afterAll(() => browser?.end());

  test('is answered by its own answer, though the end of the one before is told only when it stands there', async () => {
    const { page, complaints } = await browser.tab();
    await page.goto(`${api().url}/console#/instances/${id}`);
    await page.getByLabel('Token').fill('admin');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Repair' }).press('Enter');
    await page.getByRole('dialog', { name: `Repair: n-${id}?` }).waitFor();
    // a browser tells of a closed dialog in a task of its own
    await page.evaluate(
      `document.getElementById('dialog').close();
       document.querySelector('[data-command="backup"]').click()`,
    );
    await page.getByRole('dialog', { name: `Back up: n-${id}?` }).waitFor();
    await page.locator('#dialog-yes').press('Enter');
    await page.locator('#progress-state').getByText('backup: queued').waitFor();
    const { rows } = await api().database.query('select kind from operations where instance_id = $1', [id]);
    expect(rows).toEqual([{ kind: 'backup' }]);
    expect(complaints).toEqual([]);
  });

  test('tells how it ended, also where that was before the page is read again', async () => {
    const { page, complaints } = await browser.tab();
    await page.goto(`${api().url}/console#/instances/${other}`);
    await page.getByLabel('Token').fill('admin');
    await page.keyboard.press('Enter');
    await page.route('**/repair', async (route) => {
      const response = await route.fetch();
      await api().database.query(
        `update operations set state = 'failed', error_code = 'gone', error_text = 'Its volume is gone.', finished_at = now()
         where instance_id = $1`,
        [other],
      );
      await route.fulfill({ response });
    });
    await page.getByRole('button', { name: 'Repair' }).press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await page.locator('#progress-state').getByText('repair: failed. Its volume is gone.').waitFor();
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    expect(complaints).toEqual([]);
  });
});
