import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { apiOfThisFile } from '../served-api.fixture.ts';
import { type Browser, openBrowser, shoot, whyNoBrowser } from './browser.fixture.ts';

const obstacle = await whyNoBrowser();
const api = apiOfThisFile();

describe.runIf(obstacle === undefined)('the console', () => {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser?.end());

  // as Chromium does with what has no connection yet when the machine gets another address
  test('says what to do when a part of it did not come', async () => {
    const { page } = (await browser?.tab()) ?? expect.fail('the browser is opened in beforeAll');
    await page.route('**/client.js', (route) => route.abort());
    await page.goto(`${api().url}/console`);
    const advice = page.getByText('If this stays, load it again.');
    await advice.waitFor();
    await shoot(page, 'not-loaded');
    await page.unroute('**/client.js');
    await page.reload();
    await page.getByLabel('Token').waitFor();
    expect(await advice.count()).toBe(0);
  });
});
