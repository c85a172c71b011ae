import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { ensureProgram, findProgram } from '#shared/sandbox/packages.ts';

/** Why there is no browser here; undefined where Debian's is, or can be installed. */
export async function whyNoBrowser(): Promise<string | undefined> {
  if ((await findProgram('chromium')) !== undefined) return undefined;
  if (process.getuid?.() === 0 && (await findProgram('apt-get')) !== undefined) return undefined;
  return 'there is no Chromium. On Debian, as root: apt-get install chromium';
}

export type Browser = {
  /** A tab of its own; `complaints` gets what its console says of errors and of broken policies. */
  tab(options?: { colorScheme?: 'light' | 'dark'; width?: number }): Promise<{ page: Page; complaints: string[] }>;
  end(): Promise<void>;
};

/** Debian's Chromium without a screen. It reaches nothing but this machine. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = await ensureProgram('chromium', 'chromium');
  const folder = await mkdtemp(join(tmpdir(), 'odoo-fleet-browser-'));
  const context: BrowserContext = await chromium.launchPersistentContext(folder, {
    executablePath,
    headless: true,
    chromiumSandbox: false,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-proxy-server',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  return {
    async tab({ colorScheme = 'light', width = 1100 } = {}) {
      const page = await context.newPage();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type()))
          complaints.push(`${message.text()} (${message.location().url})`);
      });
      page.on('pageerror', (error) => complaints.push(String(error)));
      return { page, complaints };
    },
    async end() {
      await context.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** What has the keyboard, by its text. */
export const focused = (page: Page) => page.evaluate('document.activeElement.textContent.trim()');

/** By the keyboard, as somebody without a mouse. */
export async function tabTo(page: Page, text: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    if ((await focused(page)) === text) return;
  }
  throw new Error(`the keyboard does not come to ${text}`);
}

/** A picture for people, where a folder for them is named. */
export async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env['CONSOLE_SCREENSHOTS'];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
