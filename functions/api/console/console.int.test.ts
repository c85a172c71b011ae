import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile, type Caller } from '../served-api.fixture.ts';
import { type Browser, focused, openBrowser, shoot, tabTo, whyNoBrowser } from './browser.fixture.ts';

const obstacle = await whyNoBrowser();
const nasty = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>`;
const ids = Array.from({ length: 25 }, (_, at) => testInstanceId(at));
const id = ids[0] ?? '';
const api = apiOfThisFile();

test('a machine without a browser says why', () => {
  expect(obstacle ?? 'there is one').toMatch(/there is/);
});

describe.runIf(obstacle === undefined)('the console', () => {
  let browser: Browser | undefined;
  beforeAll(async () => {
    await insertRows();
    browser = await openBrowser();
  });
  afterAll(() => browser?.end());

  async function tab(options: Parameters<Browser['tab']>[0] = {}) {
    if (browser === undefined) throw new Error('the browser is opened in beforeAll');
    return await browser.tab(options);
  }

  async function signedIn(caller: Caller, options: Parameters<Browser['tab']>[0] & { at?: string } = {}) {
    const { page, complaints } = await tab(options);
    await page.goto(`${api().url}/console${options.at ?? ''}`);
    await page.getByLabel('Token').fill(caller);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    return { page, complaints };
  }

  test('lets in who has a token, keeps it out of the address, and forgets it', async () => {
    const { page, complaints } = await tab();
    await page.goto(`${api().url}/console`);
    await shoot(page, 'sign-in');
    await page.getByLabel('Token').fill('no-such-token');
    await page.keyboard.press('Enter');
    await page.getByText('Send a bearer token.').waitFor();
    // what a 401 writes into the console is the browser's own
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
    await page.getByLabel('Token').fill('customer');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Instances' }).waitFor();
    expect(page.url()).not.toContain('customer');
    expect(await page.evaluate('document.cookie + localStorage.length')).toBe('0');
    await page.getByRole('button', { name: 'Sign out' }).press('Enter');
    await page.getByLabel('Token').waitFor();
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('lists instances by pages and filters, which stand in the address', async () => {
    const { page, complaints } = await signedIn('admin');
    await page.getByText('Page 1 of 2, 25 in all').waitFor();
    await page.getByRole('link', { name: 'Next page' }).press('Enter');
    await page.getByText('Page 2 of 2, 25 in all').waitFor();
    expect(await page.getByRole('row').count()).toBe(6);
    await page.goBack();
    await page.getByText('Page 1 of 2').waitFor();
    await page.getByLabel('State').selectOption('error');
    await page.getByRole('button', { name: 'Show' }).press('Enter');
    await page.getByText('Page 1 of 1, 1 in all').waitFor();
    expect(page.url()).toContain('#/instances?status=error');
    expect(complaints).toEqual([]);
    await shoot(page, 'list');
  });

  test('shows markup in texts as text', async () => {
    const { page, complaints } = await signedIn('admin', { at: `#/instances/${ids[1]}` });
    await page.locator('#state').getByText(nasty).waitFor();
    await page.goto(`${api().url}/console#/dead-letters`);
    // the text stands on the page before, too
    await page.getByRole('heading', { name: 'Dead letters' }).waitFor();
    await page.getByText(nasty).first().waitFor();
    expect(await page.title()).toBe('Dead letters · Odoo Fleet');
    expect(await page.locator('img').count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('stops an instance by keyboard alone, after a question that names it, and tells how far it is', async () => {
    const { page, complaints } = await signedIn('customer');
    await tabTo(page, `n-${id}`);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: `n-${id}` }).waitFor();
    await tabTo(page, 'Stop');
    expect(await page.evaluate(`getComputedStyle(document.activeElement).outlineStyle`)).toBe('solid');
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: `Stop: n-${id}?` });
    await dialog.waitFor();
    await shoot(page, 'question');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(await operations()).toEqual([]);
    expect(await focused(page)).toBe('Stop');

    await page.keyboard.press('Enter');
    await dialog.waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('#progress-state').getByText('stop: queued').waitFor();
    expect(await operations()).toEqual([{ kind: 'stop', state: 'queued' }]);
    // its button is gone
    await page.waitForSelector('#main:focus');
    await change(`state = 'running', step = 'scale-down', started_at = now(), progress = '{"pods": 2}'`);
    await page.locator('#progress-state').getByText('stop: running, step scale-down').waitFor();
    await page.getByText('pods 2').waitFor();
    await shoot(page, 'progress');
    await page.getByRole('button', { name: 'Terminate' }).press('Enter');
    await page.getByRole('dialog', { name: `Terminate: n-${id}?` }).waitFor();
    await api().database.query(`update instances set status = 'stopped' where id = $1`, [id]);
    await change(`state = 'succeeded', step = null, progress = null, finished_at = now()`);
    await page.locator('#progress-state').getByText('stop: succeeded').waitFor();
    expect(await page.getByRole('dialog').count()).toBe(1);
    await page.keyboard.press('Escape');
    await page.locator('#state').getByText('stopped').waitFor();
    expect(await focused(page)).toBe('Terminate');
    await page.getByRole('button', { name: 'Start', exact: true }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('goes on by asking again where events do not get through', async () => {
    const { page } = await signedIn('customer');
    await page.route('**/events', (route) => route.abort());
    await page.goto(`${api().url}/console#/instances/${ids[2]}`);
    await page.getByRole('button', { name: 'Back up' }).press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await page.locator('#progress-state').getByText('backup: queued').waitFor();
    await change(`state = 'succeeded', finished_at = now()`, 'backup');
    await page.locator('#progress-state').getByText('backup: succeeded').waitFor();
  });

  test('sends a click under one key, twice when no answer came, and it is done once', async () => {
    const { page } = await signedIn('customer', { at: `#/instances/${ids[3]}` });
    const keys: (string | undefined)[] = [];
    await page.route('**/restart', async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      if (keys.length > 1) return await route.continue();
      await route.fetch();
      await route.abort();
    });
    await page.getByRole('button', { name: 'Restart' }).press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await page.locator('#progress-state').getByText('restart: queued').waitFor();
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(await operations(ids[3])).toHaveLength(1);
  });

  test('says that a click may have been heard where no answer came at all', async () => {
    const { page } = await signedIn('customer', { at: `#/instances/${ids[5]}` });
    await page.route('**/restart', (route) => route.abort());
    await page.getByRole('button', { name: 'Restart' }).press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await page.getByRole('status').getByText('it may be at work all the same').waitFor();
    expect(await operations(ids[5])).toEqual([]);
  });

  test('shows only what the caller may ask for, and the text of what is refused all the same', async () => {
    const { page } = await signedIn('support', { width: 360, at: `#/instances/${ids[4]}` });
    await page.getByRole('button', { name: 'Suspend' }).waitFor();
    expect(await page.getByRole('button', { name: 'Terminate' }).count()).toBe(0);
    const refusal = { status: 403, contentType: 'application/problem+json', body: '{"detail":"Not yours to ask."}' };
    await page.route('**/suspend', (route) => route.fulfill(refusal));
    await page.getByRole('button', { name: 'Suspend' }).press('Enter');
    await page.getByLabel('Why').waitFor();
    await shoot(page, 'suspend-narrow');
    await page.locator('#dialog-yes').press('Enter');
    await page.getByRole('status').getByText('Not yours to ask.').waitFor();
    const customer = await signedIn('customer', { at: `#/instances/${ids[4]}` });
    await customer.page.getByRole('button', { name: 'Back up' }).waitFor();
    expect(await customer.page.getByRole('button', { name: 'Suspend' }).count()).toBe(0);
    expect(await customer.page.getByRole('link', { name: 'Dead letters' }).count()).toBe(0);
  });

  test('shows backups, and which was proven last', async () => {
    const { page, complaints } = await signedIn('admin', { at: `#/instances/${ids[4]}` });
    await page.getByText('(last proven)').waitFor();
    await shoot(page, 'instance');
    expect(complaints).toEqual([]);
  });

  test('undoes a restore after a question, as long as what was before is kept', async () => {
    const [restored = '', over = ''] = [ids[6], ids[7]];
    const restores = [await insertRestore(restored, '1 hour'), await insertRestore(over, '-1 second')];
    const { page, complaints } = await signedIn('customer', { at: `#/instances/${restored}` });
    await page.getByText('can be undone until').waitFor();
    await page.getByRole('button', { name: 'Undo restore' }).press('Enter');
    const dialog = page.getByRole('dialog', { name: `Undo restore: n-${restored}?` });
    await dialog.getByText('goes back to what it was before the restore of').waitFor();
    await shoot(page, 'undo-restore');
    await page.keyboard.press('Escape');
    expect(await operations(restored)).toEqual([]);
    await page.keyboard.press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await page.locator('#progress-state').getByText('restore: queued').waitFor();
    const { rows } = await api().database.query('select request from operations where instance_id = $1', [restored]);
    expect(rows).toMatchObject([{ request: { undoes: restores[0] } }]);
    expect(complaints).toEqual([]);
    await page.goto(`${api().url}/console#/instances/${over}`);
    await page.getByRole('heading', { name: `n-${over}` }).waitFor();
    expect(await page.getByText('can be undone until').count()).toBe(0);
    const support = await signedIn('support', { at: `#/instances/${restored}` });
    await support.page.getByText('can be undone until').waitFor();
    expect(await support.page.getByRole('button', { name: 'Undo restore' }).count()).toBe(0);
  });

  test('lets an admin replay and discard dead letters', async () => {
    const { page } = await signedIn('admin', { at: '#/dead-letters' });
    await shoot(page, 'dead-letters');
    await page.getByRole('button', { name: 'Replay 1' }).press('Enter');
    await page.getByRole('dialog', { name: 'Replay dead letter 1?' }).waitFor();
    await page.locator('#dialog-yes').press('Enter');
    await page.getByRole('status').getByText('Dead letter 1: failed').waitFor();
    await page.getByRole('button', { name: 'Discard 2' }).press('Enter');
    await page.locator('#dialog-yes').press('Enter');
    await page.getByRole('status').getByText('Dead letter 2: discarded').waitFor();
    await page.getByRole('row', { name: /^2 .* resolved/ }).waitFor();
  });

  test.each([
    ['dark', { colorScheme: 'dark' as const }],
    ['narrow', { width: 360 }],
  ])('fits the window: %s', async (name, options) => {
    for (const [part, at] of [
      ['list', '#/instances'],
      ['instance', `#/instances/${ids[4]}`],
      ['dead-letters', '#/dead-letters'],
    ]) {
      const { page } = await signedIn('admin', { ...options, at: at ?? '' });
      await page.getByRole('table').waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
      await shoot(page, `${part}-${name}`);
      await page.close();
    }
  });
});

async function insertRows(): Promise<void> {
  const { database } = api();
  await insertCatalogue(database);
  await insertServer(database, { id: 'pg-1', maxInstances: 10 });
  for (const one of ids) await insertTestInstance(database, one);
  await database.query(
    `update instances set status = 'running', generation = 1, observed_generation = 1, created_at = now() - (id > $1)::int * interval '1 day'`,
    [id],
  );
  await database.query(`update instances set status = 'error', status_reason = $2 where id = $1`, [ids[1], nasty]);
  for (const [day, proof] of ['proven', 'proven', 'none'].entries())
    await database.query(
      `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
         snapshot_at, manifest_key, manifest_sha256, dump_bytes, files_bytes, files_count, uploaded_bytes, proof, proof_at)
       select $1, i.id, i.customer_id, 'scheduled', 'succeeded', 1, 'pg-1', 'wrapped-key', t, t, t, 'place', repeat('0', 64),
         20000000, 104000000, 2, 5, $3, case when $3 <> 'none' then t end
       from instances i, (select timestamptz '2027-02-01Z' + $4 * interval '1 day') as at (t) where i.id = $2`,
      [randomUUID(), ids[4], proof, day],
    );
  for (const reason of [nasty, 'instanceId is missing.'])
    await database.query(
      `insert into dead_events (source, id, type, received_by, reason_code, reason, body, digest)
       values ('urn:x', $1, 'dev.odoofleet.instance.stop.requested', 'stop', 'invalid-event', $2, '{}', $3)`,
      [randomUUID(), reason, createHash('sha256').update(reason).digest()],
    );
}

/** A restore that has succeeded; its id. */
async function insertRestore(of: string, keptFor: string): Promise<string> {
  const restore = randomUUID();
  const backup = randomUUID();
  const { database } = api();
  await database.query(
    `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
       snapshot_at, manifest_key, manifest_sha256, dump_bytes, files_bytes, files_count, uploaded_bytes)
     select $1, id, customer_id, 'scheduled', 'succeeded', 1, 'pg-1', 'wrapped-key', now(), now(), now(), 'place',
       repeat('0', 64), 1, 1, 1, 1 from instances where id = $2`,
    [backup, of],
  );
  await database.query(
    `insert into restores (id, instance_id, server_id, backup_id, state, round, job_key, switched_at, swapped_at, finished_at,
       keep_until) values ($1, $2, 'pg-1', $3, 'succeeded', 1, 'k', now(), now(), now(), now() + $4::interval)`,
    [restore, of, backup, keptFor],
  );
  return restore;
}

async function operations(of = id): Promise<unknown[]> {
  return (await api().database.query(`select kind, state from operations where instance_id = $1`, [of])).rows;
}

async function change(what: string, kind = 'stop'): Promise<void> {
  await api().database.query(`update operations set ${what} where kind = $1`, [kind]);
}
