import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeNewFile } from './write-file.ts';

const program = fileURLToPath(new URL('./write-file.ts', import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-write-file-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Writes pieces of these sizes to a new file on a disk of 64 KiB: what came of it. */
async function onSmallDisk(sizes: readonly number[], options: { keeps?: number } = {}): Promise<string> {
  const script = `
    const { writeNewFile } = await import(${JSON.stringify(program)});
    async function* pieces() { for (const size of ${JSON.stringify(sizes)}) yield Buffer.alloc(size, 7); }
    const options = { mode: 0o600, onPiece() {}, ...${JSON.stringify(options)} };
    await writeNewFile('disk/file', pieces(), options).then(() => console.log('written'), ({ code }) => console.log(code));`;
  const mount = `mkdir -p disk && mount -t tmpfs -o size=64k tmpfs disk && exec "$@"`;
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', mount, 'sh', process.execPath];
  const said = await promisify(execFile)('unshare', [...args, '--input-type=module', '--eval', script], {
    cwd: folder,
  });
  return said.stdout.trim();
}

test('a file is written whole, and only where there is none', async () => {
  const path = join(folder, 'one');
  const seen: number[] = [];
  async function* pieces() {
    yield Buffer.from('first ');
    yield Buffer.from('');
    yield Buffer.from('zweites 🐘');
  }
  const options = { mode: 0o600, onPiece: (piece: Buffer) => seen.push(piece.length) };
  await writeNewFile(path, pieces(), options);
  expect(await readFile(path, 'utf8')).toBe('first zweites 🐘');
  expect(seen).toEqual([6, 0, 12]);
  await expect(writeNewFile(path, pieces(), options)).rejects.toThrow('EEXIST');
});

test('a last piece of which the disk takes a part only is not taken for written', async () => {
  expect(await onSmallDisk([40_000, 60_000], { keeps: 0 })).toBe('no-capacity');
  // the check before does not see what others write in between: the system's own word counts
  expect(await onSmallDisk([40_000, 60_000], { keeps: -10 })).toBe('no-capacity');
  expect(await onSmallDisk([40_000, 20_000], { keeps: 0 })).toBe('written');
});

test('the last of a disk is left for others', async () => {
  expect(await onSmallDisk([65_536])).toBe('no-capacity');
  expect(await onSmallDisk([65_536], { keeps: 0 })).toBe('written');
});
