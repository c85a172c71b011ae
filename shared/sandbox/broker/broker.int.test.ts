import { join } from 'node:path';
import { request } from 'undici';
import { expect, test } from 'vitest';
import { startBroker } from './broker.ts';
import { answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { folder, subscriber, broker } = brokerTests();

test('an event reaches exactly the triggers whose attributes all match', async () => {
  const sub = await subscriber(answering(204));
  const urls = { all: `${sub.url}all`, type: `${sub.url}type`, kind: `${sub.url}kind` };
  const { url, idle, stats } = await broker({
    urls,
    triggers: [
      trigger('all'),
      trigger('type', { filterAttributes: { type: 'wanted' } }),
      trigger('kind', { filterAttributes: { type: 'wanted', opkind: 'provision' } }),
    ],
  });
  await publish(url, '1', { type: 'wanted', opkind: 'provision' });
  await publish(url, '2', { type: 'wanted', opkind: 'provisioning' });
  await publish(url, '3', { type: 'Wanted' });
  await idle();
  const delivered = Object.entries(stats().triggers).map(([name, { delivered: count }]) => [name, count]);
  expect(delivered).toEqual([
    ['all', 3],
    ['type', 2],
    ['kind', 1],
  ]);
  expect(stats().accepted).toBe(3);
});

test('what is no CloudEvent, another path and another method are refused with their status', async () => {
  const { url, stats } = await broker({ urls: {}, triggers: [trigger('t')] });
  const status = async (target: string, options: Parameters<typeof request>[1]): Promise<number> => {
    const { statusCode, body } = await request(target, options);
    await body.dump();
    return statusCode;
  };
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  expect(await status(url, { method: 'POST', body: '{}' })).toBe(400);
  expect(await status(url, { method: 'POST', headers, body: '[]' })).toBe(400);
  expect(await status(`${url}/x`, { method: 'POST', body: '{}' })).toBe(404);
  expect(await status(url, { method: 'GET' })).toBe(405);
  expect(await status(url, { method: 'GET', headers: { 'user-agent': 'kube-probe/1.34' } })).toBe(200);
  expect(await status(url, { method: 'POST', body: Buffer.alloc(16 * 1024 * 1024 + 1) })).toBe(413);
  expect(stats()).toMatchObject({ accepted: 0, refused: 5 });
});

test('an event that no trigger wants is accepted and gone', async () => {
  const { url, idle, stats } = await broker({
    urls: {},
    triggers: [trigger('t', { filterAttributes: { type: 'other' } })],
  });
  expect(await publish(url, '1')).toBe(202);
  await idle();
  expect(stats().triggers['t']).toMatchObject({ accepted: 0 });
});

test('a port that is taken is an error that names it', async () => {
  const { url } = await broker({ urls: {}, triggers: [] });
  const port = Number(new URL(url).port);
  const other = startBroker({ folder: join(folder(), 'other'), port, triggers: [], subscriberUrl: () => '' });
  await expect(other).rejects.toThrow(`the broker cannot listen on 127.0.0.1:${port}`);
});
