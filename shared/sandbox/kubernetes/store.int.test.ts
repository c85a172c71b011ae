import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nameOf } from './objects.ts';
import { findResource } from './resources.ts';
import { openStore } from './store.ts';

const found = findResource('', 'v1', 'configmaps');
if (!found) throw new Error('config maps are not in the list');
const resource = found;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const object = (name: string) => ({ metadata: { name, namespace: 'default', uid: name } });

it('is the same after its journal was compacted, and forgets the changes before', async () => {
  const first = await openStore(folder, { compactAfterLines: 10 });
  for (let index = 0; index < 25; index += 1) {
    const stored = first.put(resource, object(`o-${index}`));
    if (index % 2 === 0) first.remove(resource, stored);
    await first.durable();
  }
  await first.close();
  const lines = (await readFile(join(folder, 'journal.jsonl'), 'utf8')).split('\n').length;
  expect(lines).toBeLessThan(12);
  const second = await openStore(folder);
  expect(second.version()).toBe(first.version());
  expect(second.list(resource, '').map(nameOf)).toEqual(first.list(resource, '').map(nameOf));
  expect(second.changesSince(2)).toBeUndefined();
  expect(second.changesSince(second.version())).toEqual([]);
  await second.close();
});

it('remembers a past state as far back as its history goes', async () => {
  const store = await openStore(folder, { historyLength: 3 });
  const versions: number[] = [];
  for (const name of ['a', 'b', 'c', 'd']) {
    store.put(resource, object(name));
    versions.push(store.version());
  }
  store.remove(resource, object('a'));
  const namesAt = (version: number | undefined) => store.listAt(resource, 'default', version ?? 0)?.map(nameOf);
  expect(namesAt(versions[3])).toEqual(['a', 'b', 'c', 'd']);
  expect(namesAt(versions[1])).toEqual(['a', 'b']);
  expect(namesAt(versions[0])).toBeUndefined();
  expect(namesAt(store.version())).toEqual(['b', 'c', 'd']);
  await store.close();
});

it('tells listeners of a write only when it is on disk, in order', async () => {
  const store = await openStore(folder);
  const seen: string[] = [];
  store.subscribe((change) => seen.push(change.key));
  store.put(resource, object('a'));
  store.put(resource, object('b'));
  expect(seen).toEqual([]);
  expect(store.changesSince(1)).toEqual([]);
  await store.durable();
  await expect.poll(() => seen, { timeout: 15_000 }).toEqual(['default/a', 'default/b']);
  await store.close();
});
