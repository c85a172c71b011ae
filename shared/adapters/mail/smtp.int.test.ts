import { mkdtemp, readdir, readFile, stat } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Mail } from '#shared/domain/notification/mail.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { ensureIdentity } from '#shared/sandbox/kubernetes/certificates.ts';
import { openFolderMailer } from './folder.ts';
import { type MailServer, openMailServer } from './mail-server.fixture.ts';
import { type Mailer, openSmtpMailer, type SmtpOptions } from './smtp.ts';

const sender = { from: 'fleet@odoo.example', fromName: 'Odoo Fleet' };
const mail: Mail = {
  id: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
  to: 'owner@acme.example',
  subject: 'acme ist bereit für Sie',
  text: 'Grüße\n',
  html: '<p>Grüße</p>\n',
  language: 'de',
};
let server: MailServer;
const mailers: Mailer[] = [];

beforeEach(async () => {
  server = await openMailServer();
});
afterEach(async () => {
  for (const mailer of mailers.splice(0)) await mailer.end();
  await server.close();
});

function open(options: Partial<SmtpOptions> = {}): Mailer {
  const mailer = openSmtpMailer({
    ...sender,
    host: '127.0.0.1',
    port: server.port,
    security: 'none',
    timeoutMs: 30_000,
    ...options,
  });
  mailers.push(mailer);
  return mailer;
}

describe('a mail server', () => {
  test('gets the text in both forms, under the id of the mail, from us to one address', async () => {
    expect(await open().send(mail)).toEqual({ is: 'sent' });
    const [got] = server.received;
    expect(got).toMatchObject({ from: sender.from, to: mail.to });
    expect(got?.text).toMatch(/^Message-ID: <01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f@odoo\.example>\r$/im);
    expect(got?.text).toMatch(/^Subject: =\?UTF-8\?Q\?acme_ist_bereit/im);
    expect(got?.text).toMatch(/^Auto-Submitted: auto-generated\r$/im);
    expect(got?.text).toMatch(/text\/plain; charset=utf-8[^]*text\/html; charset=utf-8/i);
  });

  test('gets many mails over few connections', async () => {
    const mailer = open();
    const results = await Promise.all(Array.from({ length: 30 }, (_, n) => mailer.send({ ...mail, id: `m-${n}` })));
    expect(new Set(results.map(({ is }) => is))).toEqual(new Set(['sent']));
    expect(server.connections()).toBeGreaterThan(0);
    expect(server.connections()).toBeLessThanOrEqual(4);
  });

  test('is given no header, recipient or command that stands in a value', async () => {
    const evil = 'x\r\nBcc: all@example.com\r\n\r\nbody\r\n.\r\nRCPT TO:<all@example.com>';
    const mailer = open({ fromName: `Fleet ${evil}` });
    expect(await mailer.send({ ...mail, subject: evil, text: `${evil}\n`, language: 'de' })).toEqual({ is: 'sent' });
    expect(server.received).toHaveLength(1);
    const [head = ''] = (server.received[0]?.text ?? '').split('\r\n\r\n');
    expect(head).not.toMatch(/^Bcc:/im);
    expect(server.received[0]?.to).toBe(mail.to);
    const poisoned = await mailer.send({ ...mail, to: 'a@b.example>\r\nRCPT TO:<all@example.com' });
    expect(poisoned).toEqual({ is: 'refused', reason: 'This is no e-mail address.' });
    expect(server.received).toHaveLength(1);
  });

  test.each([
    [451, '4.7.1 Greylisted, come back', 'again'],
    [550, '5.1.1 No such user', 'bounced'],
    [550, '5.7.1 Relaying denied', 'refused'],
  ])('that answers the recipient with %i %s: %s', async (code, text, is) => {
    server.onRecipient = () => ({ code, text });
    expect(await open().send(mail)).toEqual({ is, reason: `${code} ${text}` });
    expect(server.received).toEqual([]);
  });

  test('that repeats the address does not bring it into our logs', async () => {
    server.onRecipient = () => ({ code: 550, text: '5.1.1 <Owner@acme.example>: no such user' });
    expect(await open().send(mail)).toEqual({ is: 'bounced', reason: '550 5.1.1 <an address>: no such user' });
  });

  test('that refuses the text is not told that the address is unknown', async () => {
    server.onText = () => ({ code: 554, text: '5.7.1 Spam' });
    expect(await open().send(mail)).toMatchObject({ is: 'refused' });
  });

  test('that hangs up after the text is not asked again by the connections themselves', async () => {
    server.onText = () => 'hang-up';
    expect(await open().send(mail)).toMatchObject({ is: 'again' });
    expect(server.received).toHaveLength(1);
    server.onText = () => undefined;
    expect(await open().send(mail)).toEqual({ is: 'sent' });
  });

  test('that is away, or says nothing, is for later', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    expect(await open({ port, timeoutMs: 200 }).send(mail)).toMatchObject({ is: 'again' });
    await new Promise((resolve) => silent.close(resolve));
    expect(await open({ port }).send(mail)).toMatchObject({ is: 'again' });
  });
});

test('a mail server that says a little now and then keeps nobody for ever', async () => {
  const sockets: Socket[] = [];
  const dripping = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    const timer = setInterval(() => socket.write('220-wait\r\n'), 50);
    socket.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => void dripping.listen(0, '127.0.0.1', resolve));
  const address = dripping.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const mailer = open({ port, timeoutMs: 60_000, deadlineMs: 300 });
  expect(await mailer.send(mail)).toMatchObject({ is: 'again', reason: expect.stringContaining('too long') });
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => dripping.close(resolve));
});

describe('TLS', () => {
  test('is wanted: a server that offers none gets neither password nor mail', async () => {
    const login = { user: 'fleet', password: 'relay-password' };
    expect(await open({ security: 'starttls', login }).send(mail)).toMatchObject({ is: 'again' });
    expect(await open({ security: 'starttls' }).send(mail)).toMatchObject({ is: 'again' });
    expect(server.received).toEqual([]);
  });

  test('with a certificate that nobody vouches for is no TLS', async () => {
    await server.close();
    server = await openMailServer({ disabledCommands: [] });
    expect(await open({ security: 'starttls' }).send(mail)).toMatchObject({ is: 'again' });
    expect(server.received).toEqual([]);
  });
});

test('TLS with a certificate that is vouched for carries the login and the mail', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mail-identity-'));
  const { caCertificate: ca, certificate: cert, key } = await ensureIdentity(folder);
  for (const security of ['starttls', 'tls'] as const) {
    await server.close();
    server = await openMailServer({
      cert,
      key,
      secure: security === 'tls',
      disabledCommands: [],
      onAuth: ({ username, password }, _session, done) =>
        password === 'relay-password' ? done(null, { user: username }) : done(new Error('wrong')),
    });
    const login = { user: 'fleet', password: 'relay-password' };
    expect(await open({ security, ca, login }).send(mail)).toEqual({ is: 'sent' });
    expect(server.received).toMatchObject([{ user: 'fleet', isEncrypted: true }]);
    const wrong = open({ security, ca, login: { ...login, password: 'wrong-password' } });
    expect(await wrong.send(mail)).toMatchObject({ is: 'again' });
  }
  await removeTree(folder);
});

test('mails as files are whole, readable by their owner only, and the same file when they are sent again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mails-'));
  const mailer = openFolderMailer({ ...sender, folder: join(folder, 'mails') });
  mailers.push(mailer);
  expect(await mailer.send(mail)).toEqual({ is: 'sent' });
  expect(await mailer.send(mail)).toEqual({ is: 'sent' });
  expect(await readdir(join(folder, 'mails'))).toEqual([`${mail.id}.eml`]);
  const file = join(folder, 'mails', `${mail.id}.eml`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readFile(file, 'utf8')).toContain('To: owner@acme.example');
  const nowhere = openFolderMailer({ ...sender, folder: '/dev/null/mails' });
  expect(await nowhere.send(mail)).toMatchObject({ is: 'again' });
  await removeTree(folder);
});
