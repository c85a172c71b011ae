import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DnsServer, startDnsServer } from './dns-server.fixture.ts';
import { openDomainResolver } from './resolver.ts';

let server: DnsServer;
beforeAll(async () => {
  server = await startDnsServer();
});
afterAll(() => server.close());

const open = (timeoutMs = 10_000) => openDomainResolver({ servers: [server.address], timeoutMs, tries: 1 });

test('texts come whole, also those of several pieces', async () => {
  server.records.set('a.example.com', [['one'], ['tw', 'o', ''], ['x'.repeat(255), 'y']]);
  expect([...(await open().texts('a.example.com'))].sort()).toEqual(['one', 'two', `${'x'.repeat(255)}y`]);
});

test('a name that is not there, or has no texts, has none', async () => {
  server.records.set('empty.example.com', []);
  expect(await open().texts('missing.example.com')).toEqual([]);
  expect(await open().texts('empty.example.com')).toEqual([]);
});

test('what was missing is found as soon as it is there', async () => {
  const resolver = open();
  expect(await resolver.texts('later.example.com')).toEqual([]);
  server.records.set('later.example.com', [['here']]);
  expect(await resolver.texts('later.example.com')).toEqual(['here']);
});

test.each(['refuse', 'silence', 'garbage'] as const)('a server that answers with %s has not said no', async (how) => {
  server.records.set('broken.example.com', how);
  await expect(open(200).texts('broken.example.com')).rejects.toThrow(expect.objectContaining({ code: 'unavailable' }));
});
