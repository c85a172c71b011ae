import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';
import { type Browser, focused, openBrowser, shoot, whyNoBrowser } from './browser.fixture.ts';

const obstacle = await whyNoBrowser();
const id = testInstanceId(1);
// nothing is kept for longer than a look
const api = apiOfThisFile({ localTtlMs: 0 });

describe.runIf(obstacle === undefined)('a page of the console that nobody touches', () => {
  let browser: Browser | undefined;
  let page: Page;
  let complaints: string[];
  let asked: string[];
  let statuses: number[];

  beforeAll(async () => {
    await insertCatalogue(api().database);
    await insertTestInstance(api().database, id);
    browser = await openBrowser();
  });
  afterAll(() => browser?.end());
  beforeEach(async () => {
    if (browser === undefined) throw new Error('the browser is opened in beforeAll');
    await becomes('running');
    ({ page, complaints } = await browser.tab());
    await page.clock.install();
    await page.goto(`${api().url}/console#/instances/${id}`);
    await page.getByLabel('Token').fill('admin');
    await page.keyboard.press('Enter');
    await page.locator('#state').getByText('running').waitFor();
    [asked, statuses] = [[], []];
    page.on('request', (request) => asked.push(request.url()));
    page.on('response', (answer) => statuses.push(answer.status()));
  });

  // the clock is that of all tabs
  afterEach(() => page.close());

  const later = () => page.clock.fastForward(31_000);
  const turn = (hidden: boolean) =>
    page.evaluate(
      `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${hidden} });
       document.dispatchEvent(new Event('visibilitychange'))`,
    );
  const shows = (status: string) => page.locator('#state').getByText(status, { exact: true }).waitFor();

  test('shows what has changed meanwhile, and leaves the keyboard where it was', async () => {
    await page.getByRole('button', { name: 'Repair' }).focus();
    await becomes('error');
    await later();
    await shows('error');
    expect(await focused(page)).toBe('Repair');
    await shoot(page, 'refreshed');
    await becomes('running');
    await later();
    await shows('running');
    expect(complaints).toEqual([]);
  });

  test('is sent no body where nothing has changed, and stays as it is', async () => {
    await page.evaluate(`document.querySelector('#state').dataset.mark = ''`);
    for (const looks of [1, 2]) {
      await later();
      await expect.poll(() => statuses).toHaveLength(2 * looks);
    }
    expect(new Set(statuses)).toEqual(new Set([304]));
    expect(await page.locator('#state[data-mark]').count()).toBe(1);
  });

  test('asks for nothing while it is hidden, and at once when it is seen again', async () => {
    await turn(true);
    await becomes('error');
    for (let looks = 0; looks < 5; looks += 1) await later();
    expect(asked).toEqual([]);
    await turn(false);
    await shows('error');
  });

  test('takes no question away, and nothing that is being written', async () => {
    await page.getByRole('button', { name: 'Repair' }).press('Enter');
    await page.getByRole('dialog').waitFor();
    await becomes('error');
    await later();
    await later();
    expect(asked).toEqual([]);
    await page.keyboard.press('Escape');
    await later();
    await shows('error');

    await page.getByRole('link', { name: 'Instances' }).press('Enter');
    await page.getByLabel('Part of a name').fill('acm');
    asked = [];
    await becomes('running');
    await later();
    await later();
    expect([asked, await page.getByLabel('Part of a name').inputValue()]).toEqual([[], 'acm']);
    await page.getByLabel('Part of a name').fill('');
    await later();
    await page.getByRole('cell', { name: 'running' }).waitFor();
  });

  test('says that the connection is lost, and that it is back', async () => {
    await page.route('**/v1/**', (route) => route.abort());
    await later();
    await page.getByText('The connection to the server is lost.').waitFor();
    await page.unroute('**/v1/**');
    await later();
    await page.getByText('The connection is back.').waitFor();
  });
});

async function becomes(status: string): Promise<void> {
  await api().database.query('update instances set status = $2, updated_at = clock_timestamp() where id = $1', [
    id,
    status,
  ]);
  await api().ports.cache.invalidate('instance', id);
}
