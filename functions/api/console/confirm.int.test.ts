import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';
import { type Browser, openBrowser, whyNoBrowser } from './browser.fixture.ts';

const obstacle = await whyNoBrowser();
const id = testInstanceId(1);
const api = apiOfThisFile();

describe.runIf(obstacle === undefined)('a question of the console', () => {
  let browser: Browser;
  beforeAll(async () => {
    await insertCatalogue(api().database);
    await insertServer(api().database, { id: 'pg-1', maxInstances: 10 });
    await insertTestInstance(api().database, id);
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
});
