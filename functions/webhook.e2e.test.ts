import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openReceiver, type Received, type Receiver } from '#shared/adapters/webhook/receiver.fixture.ts';
import { mailFolderOf } from '#shared/sandbox/fleet/function-programs.ts';
import { fleetOfThisFile, provisionRequest, until } from '#shared/testing/fleet.ts';
import { carryOut } from '#shared/testing/life.ts';
import { keyFor, type StartedApi, startApi } from './api/started-api.fixture.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

let api: StartedApi;
let receiver: Receiver;
/** What was answered 2xx, each message once: one whose answer came too late is sent again. */
const taken: Received[] = [];

beforeAll(async () => {
  await fleet().records.query(`insert into customers (id, quota) values ('customer-told', 5)`);
  api = await startApi(fleet(), { key: await keyFor(fleet(), 'customer', 'customer-told') });
  receiver = await openReceiver();
});
afterAll(async () => {
  await receiver?.close();
  await api?.stop();
});

const messages = () => taken.map(({ body }) => JSON.parse(body));
const typesTaken = () => messages().map(({ type }) => type.replace('dev.odoofleet.instance.', ''));

test('a customer is told of his instances by signed and numbered messages, though his receiver was down first', async () => {
  let refusals = 2;
  receiver.answer = (request, response) => {
    refusals -= 1;
    const isKnown = taken.some(({ headers }) => headers['webhook-id'] === request.headers['webhook-id']);
    if (refusals < 0 && !isKnown) taken.push(request);
    response.writeHead(refusals < 0 ? 204 : 503).end();
  };
  const url = `http://127.0.0.1:${receiver.port}/hook`;
  const made = await api.ask('POST', '/v1/webhook-endpoints', { body: { url } });
  expect(made.status).toBe(201);
  expect((await fleet().publish(provisionRequest('told'))).status).toBe(202);
  expect((await fleet().publish(provisionRequest('untold'))).status).toBe(202);
  // the second try comes after 5 s, with a tick
  await until('the news of the instance', async () => typesTaken().includes('provisioned'), { timeoutMs: 90_000 });
  // each of its events comes by itself: later ones may be on their way still
  await until('everything to be published', async () => {
    const waiting = `select 1 from outbox where published_at is null and data ->> 'customer' = 'customer-told'`;
    return (await fleet().rows(waiting)).length === 0;
  });
  await fleet().broker.idle();
  const path = `/v1/webhook-endpoints/${made.body.id}/deliveries?limit=100`;
  const log = await until(
    'every delivery to be over',
    async () => {
      const { body } = await api.ask('GET', path);
      return body.items.every(({ state }: { state: string }) => state === 'succeeded') && body.items;
    },
    { timeoutMs: 90_000 },
  );
  for (const { body, headers } of taken) {
    expect(() => new Webhook(made.body.secret).verify(body, headers as Record<string, string>)).not.toThrow();
  }
  const numbers = messages().map(({ sequence }) => sequence);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: log.length }, (_, n) => n + 1));
  expect(new Set(messages().map(({ data }) => data.customer))).toEqual(new Set(['customer-told']));
  const tries = log.reduce((sum: number, { attempts }: { attempts: number }) => sum + attempts, 0);
  expect(receiver.received.length).toBeLessThanOrEqual(tries);
  expect(log.some(({ attempts }: { attempts: number }) => attempts > 1)).toBe(true);
}, 240_000);

/** Mails about endpoints, without the line ends and signs of quoted-printable. */
async function endpointMails(): Promise<string[]> {
  const folder = mailFolderOf(fleet().folder);
  const files = (await readdir(folder).catch(() => [])).filter((file) => file.endsWith('.eml'));
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return texts
    .map((text) => text.replaceAll('=\r\n', '').replaceAll('=3D', '='))
    .filter((text) => text.includes('webhook endpoint'));
}

test('whose receiver is gone is told by mail, and by the calls of the mail he is told again and of what he missed', async () => {
  receiver.answer = (_request, response) => void response.writeHead(410).end();
  const [instance] = await fleet().rows<{ id: string }>(`select id from instances where customer_id = 'customer-told'`);
  await carryOut(fleet(), 'stop', instance?.id ?? '');
  const [mail = ''] = await until('the mail', async () => {
    const found = await endpointMails();
    return found.length > 0 && found;
  });
  expect(mail).toMatch(/^To: owner@told\.example\r$/m);
  const [, enable = '', change = ''] = /PATCH http:\S+?(\/v1\/\S+) (\{[^}]+\})/.exec(mail) ?? [];
  const [, replay = '', since = ''] = /POST http:\S+?(\/v1\/\S+) (\{[^}]+\})/.exec(mail) ?? [];
  receiver.answer = (request, response) => {
    taken.push(request);
    response.writeHead(204).end();
  };
  const before = taken.length;
  expect(await api.ask('PATCH', enable, { body: JSON.parse(change) })).toMatchObject({
    status: 200,
    body: { enabled: true },
  });
  expect((await api.ask('POST', replay, { body: JSON.parse(since) })).status).toBe(202);
  await until('what was missed', async () =>
    taken.slice(before).some(({ body }) => JSON.parse(body).type.endsWith('instance.stop.succeeded')),
  );
  expect(await endpointMails()).toHaveLength(1);
}, 240_000);
