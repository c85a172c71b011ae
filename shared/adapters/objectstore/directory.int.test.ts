import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { objectStoreContract } from '#shared/testing/contracts/object-store.ts';
import { openDirectoryStore } from './directory.ts';

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'objects-'));
});
afterAll(() => rm(folder, { recursive: true }));

const newFolder = () => {
  count += 1;
  return join(folder, String(count), 'store');
};

objectStoreContract('the directory store', async () => {
  const store = newFolder();
  const writer = join(import.meta.dirname, 'directory-writer.fixture.ts');
  return {
    open: () => openDirectoryStore(store),
    writer: { command: process.execPath, args: [writer, store] },
  };
});

it('removes what writers that died left behind, and not what others are writing', async () => {
  const store = newFolder();
  const incoming = join(store, '.incoming');
  await mkdir(incoming, { recursive: true });
  await writeFile(join(incoming, 'old'), 'half an obj');
  await writeFile(join(incoming, 'fresh'), 'half an obj');
  const twoHoursAgo = Date.now() / 1_000 - 7_200;
  await utimes(join(incoming, 'old'), twoHoursAgo, twoHoursAgo);
  await openDirectoryStore(store).put('k', Buffer.from('x'));
  expect(await readdir(incoming)).toEqual(['fresh']);
});

it('says what is wrong when the folder is none', async () => {
  const store = newFolder();
  await mkdir(join(store, '..'), { recursive: true });
  await writeFile(store, 'a file');
  const inFile = openDirectoryStore(join(store, 'below'));
  await expect(inFile.put('k', Buffer.from('x'))).rejects.toMatchObject({
    code: 'invalid-request',
    message: expect.stringMatching(/write k \(ENOTDIR\)/),
  });
});

it.each([
  [false, 0o100600, 0o40700],
  [true, 0o100660, 0o42770],
])('lets the group in only where it is shared (%s), whatever the umask', async (isShared, file, below) => {
  const store = newFolder();
  await openDirectoryStore(store, { isShared }).put('a/b/k', Buffer.from('x'));
  const modeOf = async (...path: string[]) => (await stat(join(store, ...path))).mode;
  expect((await modeOf('a', 'b', 'k')).toString(8)).toBe(file.toString(8));
  for (const path of [[], ['a'], ['a', 'b'], ['.incoming']]) {
    expect((await modeOf(...path)).toString(8)).toBe(below.toString(8));
  }
});
