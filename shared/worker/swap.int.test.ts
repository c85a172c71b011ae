import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { openSwapWord, sealSwapWord } from '#shared/domain/backup/load-result.ts';
import { resultSigner } from '#shared/domain/backup/manifest.ts';
import type { SwapOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { inFolder } from './backup.fixture.ts';
import { swap, swapFolders } from './swap.ts';

let root: string;
let store: ObjectStore;
let folders: SwapOrder['folders'];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'fleet-swap-'));
  store = openDirectoryStore(join(root, 'store'));
  const at = (name: string) => join(root, 'filestore', name);
  folders = { live: at('odoo_a'), incoming: at('load_a'), outgoing: at('old_a') };
  await mkdir(join(root, 'filestore'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function make(folder: string, file: string): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, file), '');
}
const contentsOf = async (folder: string) => (await readdir(folder)).filter((name) => !name.startsWith('.'));

function orderOf(): SwapOrder {
  const operationId = randomUUID();
  const prefix = `swaps/a/${operationId}/1`;
  const base = { version: 1, task: 'swap', instanceId: 'a', operationId, attempt: 1, prefix } as const;
  const resultKey = Buffer.alloc(32, 5).toString('base64');
  return { ...base, resultKey, store: { kind: 'directory', folder: '/nowhere' }, folders };
}

function begin(order: SwapOrder, signal: AbortSignal): Promise<void> {
  return inFolder((folder) => swap(order, { store, folder, signal, say: () => undefined }));
}

test('a swap waits for the word of its own order, then exchanges the folders and says so', async () => {
  await make(folders.live, 'old');
  await make(folders.incoming, 'new');
  const order = orderOf();
  const running = begin(order, new AbortController().signal);
  await expect.poll(() => store.head(`${order.prefix}/ready`), { timeout: 15_000 }).toBeDefined();
  expect(await contentsOf(folders.live)).toEqual(['old']);
  const word = { version: 1, instanceId: 'a', operationId: order.operationId, attempt: 1 } as const;
  await store.put(`${order.prefix}/go`, sealSwapWord(word, 'swap-go', resultSigner(order)));
  await running;
  expect(await contentsOf(folders.live)).toEqual(['new']);
  expect(await contentsOf(folders.outgoing)).toEqual(['old']);
  const result = await store.get(`${order.prefix}/result`);
  expect(openSwapWord(result ?? Buffer.alloc(0), 'swap-result', order)).toEqual(word);
});

test('a word that was signed for another order moves nothing', async () => {
  await make(folders.live, 'old');
  await make(folders.incoming, 'new');
  const order = orderOf();
  const word = { version: 1, instanceId: 'a', operationId: order.operationId, attempt: 2 } as const;
  await store.put(`${order.prefix}/go`, sealSwapWord(word, 'swap-go', resultSigner({ ...order, attempt: 2 })));
  await expect(begin(order, new AbortController().signal)).rejects.toMatchObject({ code: 'damaged' });
  expect(await contentsOf(folders.live)).toEqual(['old']);
});

test('a swap that is ended while it waits moves nothing', async () => {
  await make(folders.live, 'old');
  await make(folders.incoming, 'new');
  const ending = new AbortController();
  const order = orderOf();
  const running = begin(order, ending.signal);
  const ended = expect(running).rejects.toThrow();
  await expect.poll(() => store.head(`${order.prefix}/ready`), { timeout: 15_000 }).toBeDefined();
  ending.abort(new Error('asked to end'));
  await ended;
  expect(await contentsOf(folders.live)).toEqual(['old']);
});

test('killed between its renames, it is gone on with; done twice, it is done once', async () => {
  await make(folders.incoming, 'new');
  await make(folders.outgoing, 'old');
  await swapFolders(folders);
  await swapFolders(folders);
  expect(await contentsOf(folders.live)).toEqual(['new']);
  expect(await contentsOf(folders.outgoing)).toEqual(['old']);
});

test('an instance without files keeps an empty folder, and can be put back', async () => {
  await make(folders.incoming, 'new');
  await swapFolders(folders);
  expect(await contentsOf(folders.outgoing)).toEqual([]);
  const back = { live: folders.live, incoming: folders.outgoing, outgoing: join(root, 'filestore', 'old_b') };
  await swapFolders(back);
  expect(await contentsOf(back.live)).toEqual([]);
  expect(await contentsOf(back.outgoing)).toEqual(['new']);
});

test('two at once, of which one stood still, leave both sides whole', async () => {
  for (let round = 0; round < 20; round += 1) {
    const at = (name: string) => join(root, 'filestore', `${round}-${name}`);
    const sides = { live: at('live'), incoming: at('incoming'), outgoing: at('outgoing') };
    await mkdir(sides.live);
    await make(sides.incoming, 'new');
    await Promise.allSettled([swapFolders(sides), swapFolders(sides), swapFolders(sides)]);
    await swapFolders(sides);
    expect(await contentsOf(sides.live)).toEqual(['new']);
    expect(await contentsOf(sides.outgoing)).toEqual([]);
  }
});

test('refuses folders that no swap has left so, before it says that it is ready', async () => {
  await make(folders.live, 'old');
  await expect(swapFolders(folders)).rejects.toMatchObject({ code: 'foreign-object' });
  const order = orderOf();
  await expect(begin(order, new AbortController().signal)).rejects.toMatchObject({ code: 'foreign-object' });
  expect(await store.head(`${order.prefix}/ready`)).toBeUndefined();
  expect(await contentsOf(folders.live)).toEqual(['old']);
});

test('what a tenant has put in its way holds nothing up: a link goes out as a link, a pipe in place of the mark goes', async () => {
  await make(join(root, 'elsewhere'), 'of others');
  await symlink(join(root, 'elsewhere'), folders.live);
  await make(folders.incoming, 'new');
  await swapFolders(folders);
  expect(await contentsOf(folders.live)).toEqual(['new']);
  expect((await lstat(folders.outgoing)).isSymbolicLink()).toBe(true);
  expect(await readdir(join(root, 'elsewhere'))).toEqual(['of others']);

  const next = { live: folders.live, incoming: `${folders.incoming}2`, outgoing: `${folders.outgoing}2` };
  await make(next.incoming, 'newer');
  execFileSync('mkfifo', [join(next.live, '.went-out')]);
  await swapFolders(next);
  expect(await contentsOf(next.live)).toEqual(['newer']);
  expect(await contentsOf(next.outgoing)).toEqual(['new']);
});
