import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { expect, it } from 'vitest';
import { authenticate } from '#shared/adapters/odoo-http/authenticate.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { mailFolderOf } from '#shared/sandbox/fleet/function-programs.ts';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

async function mails(): Promise<string[]> {
  const folder = mailFolderOf(fleet().folder);
  const files = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    files.filter((file) => file.endsWith('.eml')).map((file) => readFile(join(folder, file), 'utf8')),
  );
  // quoted-printable
  return texts.map((text) => text.replaceAll('=\r\n', '').replaceAll('=3D', '='));
}

it('an instance that is provisioned is told of once, with a link to the password that opens it', async () => {
  const event = provisionRequest('mailed');
  await fleet().publish(event);
  await fleet().publish(event);
  await fleet().operationIn('succeeded', instanceIdOf(event));
  await until('the mail', async () => (await mails()).length > 0);
  const [mail = ''] = await mails();
  expect(mail).toMatch(/^To: owner@mailed\.example\r$/m);
  expect(mail).toContain(`http://mailed.localhost:${fleet().ingressPort}`);
  const link = new URL(/http:\S+\/first-login#[A-Za-z0-9_-]{43}/.exec(mail)?.[0] ?? '');
  const page = await request(new URL(link.pathname, link));
  expect(await page.body.text()).toContain('<button');
  const used = await use(link);
  expect(used.status).toBe(200);
  const { login, password, url } = used.body as Record<'login' | 'password' | 'url', string>;
  await until('the login page', async () => (await fleet().loginPage('mailed')) === 200);
  const { database } = namesOf(instanceIdOf(event));
  expect(await authenticate(url, { login, password, database })).toEqual(expect.any(Number));
  expect(mail).not.toContain(password);
  expect((await use(link)).status).toBe(404);
  const [event2] = await fleet().rows<{ id: string; data: unknown }>(
    `select id, data from outbox where type = 'dev.odoofleet.notification.requested'`,
  );
  const again = { id: event2?.id ?? '', type: 'dev.odoofleet.notification.requested', source: 'urn:odoo-fleet' };
  expect((await fleet().deliver('notify', { ...again, data: event2?.data })).status).toBe(204);
  expect(await mails()).toHaveLength(1);
  // the mail is there before whoever sent it has noted so
  await until(
    'it to be noted',
    async () => (await fleet().rows(`select 1 from mails where state = 'sent'`)).length > 0,
  );
  expect(await fleet().rows('select state, attempts from mails')).toEqual([{ state: 'sent', attempts: 1 }]);
});

async function use(link: URL): Promise<{ status: number; body: unknown }> {
  const { statusCode, body } = await request(new URL('v1/first-login', link), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.hash.slice(1) }),
  });
  return { status: statusCode, body: await body.json() };
}
