import { afterAll, expect, it } from 'vitest';
import { openMailServer } from '#shared/adapters/mail/mail-server.fixture.ts';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';

const server = await openMailServer();
afterAll(() => server.close());

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  functionSettings: {
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(server.port),
    SMTP_SECURITY: 'none',
    MAIL_FROM: 'fleet@odoo.example',
  },
});

const event = provisionRequest('greylisted', { language: 'de_DE' });

async function states(): Promise<string[]> {
  return (await fleet().rows<{ state: string }>('select state from mails')).map(({ state }) => state);
}

it('a mail that is greylisted is sent by the tick when its time has come', async () => {
  server.onRecipient = () => ({ code: 451, text: '4.7.1 Greylisted, come back later' });
  await fleet().publish(event);
  await fleet().operationIn('succeeded', instanceIdOf(event));
  await until('the first try', async () => (await states()).length === 1);
  const tried = `select last_error from mails where last_error is not null`;
  await until('its end', async () => (await fleet().rows(tried)).length === 1);
  expect(await states()).toEqual(['queued']);
  server.onRecipient = () => undefined;
  await fleet().rows('update mails set next_attempt_at = now() returning id');
  await until('the mail', async () => (await states())[0] === 'sent');
  expect(server.received).toMatchObject([{ to: 'owner@greylisted.example', from: 'fleet@odoo.example' }]);
  expect(server.received[0]?.text).toContain('Content-Language: de');
});
