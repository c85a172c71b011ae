import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cacheFolder, withCacheEntry } from './cache-folder.ts';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

const write = (text: string) => (folder: string) => writeFile(join(folder, 'file'), text);

test('the folder is FLEET_CACHE, else under XDG_CACHE_HOME, else under HOME', () => {
  expect(cacheFolder({ FLEET_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(cacheFolder({ FLEET_CACHE: '', XDG_CACHE_HOME: '/b' })).toBe('/b/odoo-fleet');
  expect(cacheFolder({})).toMatch(/\/\.cache\/odoo-fleet$/);
});

test('an entry is made once, and again after it was deleted', async () => {
  const entry = await withCacheEntry('a/b-1', write('first'), { cache });
  expect(await withCacheEntry('a/b-1', write('second'), { cache })).toBe(entry);
  expect(await readFile(join(entry, 'file'), 'utf8')).toBe('first');
  await rm(join(cache, 'a'), { recursive: true });
  await withCacheEntry('a/b-1', write('third'), { cache });
  expect(await readFile(join(entry, 'file'), 'utf8')).toBe('third');
});

test('many at once get one whole entry, and leave nothing else', async () => {
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) => withCacheEntry('shared', write(String(index)), { cache })),
  );
  expect(new Set(all).size).toBe(1);
  expect(await readdir(cache)).toEqual(expect.arrayContaining(['making', 'shared']));
  expect(await readdir(join(cache, 'making'))).toEqual([]);
});

test('a maker that fails leaves no entry', async () => {
  const failing = withCacheEntry('bad', () => Promise.reject(new Error('no mirror')), { cache });
  await expect(failing).rejects.toThrow('no mirror');
  expect(await readdir(cache)).toEqual(['making']);
  expect(await readdir(join(cache, 'making'))).toEqual([]);
});

test('what a killed maker left is removed, what a living one makes is not', async () => {
  const { pid } = spawnSync('true');
  const [dead, living] = [join(cache, 'making', `${pid}-1`), join(cache, 'making', `${process.pid}-1`)];
  await mkdir(dead, { recursive: true });
  await mkdir(living);
  await withCacheEntry('any', write(''), { cache });
  expect(await readdir(join(cache, 'making'))).toEqual([`${process.pid}-1`]);
});

test('a folder that cannot be written to is named, with what to change', async () => {
  await writeFile(join(cache, 'file'), '');
  await expect(withCacheEntry('any', write(''), { cache: join(cache, 'file') })).rejects.toThrow(/FLEET_CACHE/);
});
