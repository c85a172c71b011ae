import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { notificationDue } from '#events/notification/due.ts';
import { type MailServer, openMailServer } from '#shared/adapters/mail/mail-server.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { useFirstLogin } from '#shared/adapters/postgres/first-logins.ts';
import { clearBounce, takeDueMails } from '#shared/adapters/postgres/mails.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import { hashOfToken, openFirstLogin } from '#shared/domain/notification/first-login.ts';
import { retryDelaysMs } from '#shared/domain/notification/verdict.ts';
import { makeMailUpkeep } from '#shared/runtime/notification/upkeep.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import {
  addOperation,
  adminPassword,
  due,
  letTimePass,
  openWorld,
  source,
  type World,
  wanted,
} from './world.fixture.ts';

const platform = platformOfThisFile();
let database: Database;
let server: MailServer;
let world: World;
let operation: string;
// Another in each test: what the audit says of one stays.
let one: string;
let number = 0;

beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query('truncate mails, bounced_addresses, first_logins, outbox, operations, instances cascade');
  number += 1;
  one = testInstanceId(number);
  await insertTestInstance(database, one);
  operation = await addOperation(database, one);
  server = await openMailServer();
  world = openWorld(database, server.port);
});
afterEach(async () => {
  await world.end();
  await server.close();
});

type MailRow = { state: string; attempts: number; last_error: string | null; address: string };
async function mails(): Promise<MailRow[]> {
  return (await database.query<MailRow>('select * from mails order by created_at')).rows;
}
/** The words of a text/plain part, without quoted-printable's line ends and codes. */
const plain = (text = '') => text.replaceAll('=\r\n', '').replaceAll('=3D', '=').replaceAll('\r\n', '\n');
const tokenOf = (text = '') => /first-login#([A-Za-z0-9_-]{43})/.exec(plain(text))?.[1] ?? '';
const idOf = (text = '') => /^Message-ID: <(.+)>/im.exec(text)?.[1];
const ready = (id?: string) =>
  wanted('instance-ready', { instance: one, operation, ...(id === undefined ? {} : { id }) });
const stopped = (id?: string) => wanted('instance-stopped', { instance: one, operation, ...(id && { id }) });

describe('an event', () => {
  test('becomes one mail to the owner, however often and at once it comes', async () => {
    const event = stopped();
    const outcomes = await Promise.all([world.handle(event), world.handle(event), world.handle(event)]);
    expect(outcomes.toSorted()).toEqual(['nothing-to-do', 'nothing-to-do', 'sent']);
    expect(await world.handle(event)).toBe('nothing-to-do');
    expect(server.received).toMatchObject([{ to: 'owner@acme.example', from: 'fleet@odoo.example' }]);
    expect(await mails()).toMatchObject([{ state: 'sent', attempts: 1, last_error: null }]);
  });

  test('is told in the language of the instance', async () => {
    await world.handle(stopped());
    await database.query(`update instances set language = 'de_CH'`);
    await world.handle(stopped());
    const [english, german] = server.received.map(({ text }) => text);
    expect(english).toMatch(/^Content-Language: en\r$/m);
    expect(english).toContain('was stopped');
    expect(german).toMatch(/^Content-Language: de\r$/m);
    expect(german).toContain('wurde angehalten');
  });

  test('of somebody else, of another customer, or of no address, is nobody’s', async () => {
    const other = { instance: one, operation, source: 'urn:somebody' };
    expect(await world.handle(wanted('instance-stopped', other))).toBe('nothing-to-do');
    expect(await world.handle(wanted('instance-stopped', { instance: one, operation, customer: 'c-2' }))).toBe(
      'nothing-to-do',
    );
    await database.query(`update instances set admin_login = 'admin'`);
    expect(await world.handle(stopped())).toBe('nothing-to-do');
    expect(server.received).toEqual([]);
    expect(await mails()).toEqual([]);
  });

  test('that a broker has lost is found in the outbox, once', async () => {
    const { type, id, data } = stopped();
    await enqueue(database, [{ id, type, source, subject: one, data, extensions: {} } as unknown as OutgoingEvent]);
    const asked: OutgoingEvent[] = [];
    const publishStraight = async (_name: string, events: readonly OutgoingEvent[]) => {
      asked.push(...events);
      return { published: [], failed: [] };
    };
    const upkeep = () =>
      makeMailUpkeep({ database, eventSource: source, publishStraight, onTrouble: () => undefined })();
    expect(await upkeep()).toEqual({ found: 0, due: 0, forgotten: 0 });
    await database.query(`update outbox set created_at = now() - interval '2 minutes'`);
    expect(await upkeep()).toEqual({ found: 1, due: 1, forgotten: 0 });
    expect(asked).toMatchObject([{ type: notificationDue.type, data: { mails: 1, by: 'tick' } }]);
    expect(await world.handle(due)).toBe('sent');
    expect(await upkeep()).toEqual({ found: 0, due: 0, forgotten: 0 });
    expect(server.received).toHaveLength(1);
  });
});

describe('a mail', () => {
  test('that is greylisted is sent when its time has come, under the same id', async () => {
    server.onRecipient = () => ({ code: 451, text: '4.7.1 Greylisted' });
    const id = randomUUID();
    expect(await world.handle(stopped(id))).toBe('queued');
    expect(await mails()).toMatchObject([{ state: 'queued', attempts: 1, last_error: '451 4.7.1 Greylisted' }]);
    expect(await world.handle(due)).toBe('nothing-to-do');
    await letTimePass(database);
    server.onRecipient = () => undefined;
    expect(await world.handle(due)).toBe('sent');
    expect(idOf(server.received[0]?.text)).toBe(`${id}@odoo.example`);
    expect(await mails()).toMatchObject([{ state: 'sent', attempts: 2, last_error: null }]);
  });

  test('whose connection is lost after the text may come twice, under the same id', async () => {
    server.onText = () => 'hang-up';
    expect(await world.handle(stopped())).toBe('queued');
    await letTimePass(database);
    server.onText = () => undefined;
    expect(await world.handle(due)).toBe('sent');
    expect(server.received).toHaveLength(2);
    expect(idOf(server.received[1]?.text)).toBe(idOf(server.received[0]?.text));
  });

  test('whose sender died is sent when its lease is over, by one sender only', async () => {
    await world.handle(stopped());
    await database.query(`update mails set state = 'queued', next_attempt_at = now(), ended_at = null`);
    await Promise.all([world.handle(due), world.handle(due), world.handle(due)]);
    expect(server.received).toHaveLength(2);
    expect(await mails()).toMatchObject([{ state: 'sent', attempts: 2 }]);
  });

  test('that one sender takes is left alone by others, who do not wait for it', async () => {
    await world.handle(stopped());
    await database.query(`update mails set state = 'queued', next_attempt_at = now(), ended_at = null`);
    await database.transaction(async (transaction) => {
      expect(await takeDueMails(transaction, 5)).toHaveLength(1);
      expect(await takeDueMails(database, 5)).toEqual([]);
    });
  });

  test('is given up after two days', async () => {
    server.onRecipient = () => ({ code: 450, text: '4.2.0 Later' });
    await world.handle(stopped());
    for (let n = 0; n < retryDelaysMs.length; n += 1) {
      expect(await mails()).toMatchObject([{ state: 'queued', attempts: n + 1 }]);
      await letTimePass(database);
      await world.handle(due);
    }
    expect(await mails()).toMatchObject([{ state: 'failed', last_error: '450 4.2.0 Later' }]);
  });
});

describe('an address that does not exist', () => {
  test('is noted, and sent nothing more until a person clears it', async () => {
    server.onRecipient = () => ({ code: 550, text: '5.1.1 No such user' });
    expect(await world.handle(stopped())).toBe('bounced');
    server.onRecipient = () => undefined;
    expect(await world.handle(stopped())).toBe('bounced');
    expect(server.received).toEqual([]);
    expect(await mails()).toMatchObject([{ state: 'bounced' }, { state: 'bounced', attempts: 0 }]);
    expect(await clearBounce(database, 'Owner@ACME.example')).toBe(true);
    expect(await world.handle(stopped())).toBe('sent');
  });

  test('stops what waits for it, too', async () => {
    server.onRecipient = () => ({ code: 451, text: '4.7.1 Greylisted' });
    await world.handle(stopped());
    server.onRecipient = () => ({ code: 550, text: '5.1.1 No such user' });
    await world.handle(stopped());
    server.onRecipient = () => undefined;
    await letTimePass(database);
    await world.handle(due);
    expect(server.received).toEqual([]);
    expect(await mails()).toMatchObject([{ state: 'bounced' }, { state: 'bounced' }]);
  });

  test('is not what a refusal of our server, or of a text, says', async () => {
    server.onRecipient = () => ({ code: 550, text: '5.7.1 Relaying denied' });
    expect(await world.handle(stopped())).toBe('failed');
    server.onRecipient = () => undefined;
    expect(await world.handle(stopped())).toBe('sent');
  });
});

describe('an instance that is ready', () => {
  test('is told with a link that opens the first password once, and without the password', async () => {
    expect(await world.handle(ready())).toBe('sent');
    const text = server.received[0]?.text ?? '';
    expect(plain(text)).toContain('https://api.odoo.example/first-login#');
    const token = tokenOf(text);
    expect(`${text}${JSON.stringify((await database.query('select * from first_logins')).rows)}`).not.toContain(
      adminPassword,
    );
    expect(world.secrets).toEqual([token]);
    const hash = hashOfToken(token) as Buffer;
    const uses = await Promise.all([useFirstLogin(database, hash), useFirstLogin(database, hash)]);
    const [used] = uses.filter((use) => use !== undefined);
    expect(uses).toContain(undefined);
    const opened = used && openFirstLogin({ token, sealed: used.sealed }, used.instanceId);
    expect(opened).toEqual({
      url: `https://n-${one}.odoo.example`,
      login: 'owner@acme.example',
      password: adminPassword,
    });
  });

  test('gets a new link with each try; the first that is used ends all', async () => {
    server.onText = () => 'hang-up';
    await world.handle(ready());
    await letTimePass(database);
    server.onText = () => undefined;
    await world.handle(due);
    const [first = '', second = ''] = server.received.map(({ text }) => tokenOf(text));
    expect(first).not.toBe(second);
    expect(await useFirstLogin(database, hashOfToken(first) as Buffer)).toBeDefined();
    expect(await useFirstLogin(database, hashOfToken(second) as Buffer)).toBeUndefined();
    await world.handle(ready());
    expect(plain(server.received[2]?.text)).not.toContain('first-login#');
  });

  test('waits for a cluster that does not answer', async () => {
    const { credentials } = world;
    world.credentials = {
      read: async () => {
        throw new Failure('unavailable', 'The API server does not answer.');
      },
    };
    expect(await world.handle(ready())).toBe('queued');
    world.credentials = credentials;
    await letTimePass(database);
    expect(await world.handle(due)).toBe('sent');
    expect(tokenOf(server.received[0]?.text)).not.toBe('');
  });

  test('by a clone or an import has the passwords of its users, and no link', async () => {
    operation = await addOperation(database, one, 'clone');
    await world.handle(ready());
    expect(plain(server.received[0]?.text)).not.toContain('first-login#');
    expect((await database.query('select from first_logins')).rowCount).toBe(0);
  });

  test('has a link for a day', async () => {
    await world.handle(ready());
    await database.query(`update first_logins set expires_at = expires_at - interval '24 hours'`);
    const hash = hashOfToken(tokenOf(server.received[0]?.text)) as Buffer;
    expect(await useFirstLogin(database, hash)).toBeUndefined();
  });
});
