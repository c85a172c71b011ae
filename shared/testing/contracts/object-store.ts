import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { writtenObject } from '#shared/testing/object-writer.ts';
import { streamContract } from './object-store-streams.ts';

export type ObjectStoreUnderTest = {
  /** A view of one store, empty at first, as one process has it. Views share their objects. */
  open(): ObjectStore;
  /** A program that opens the store and calls `writeForEver`; it is killed in the middle of its work. */
  writer: { command: string; args: readonly string[] };
};

/** What every object store promises. `make` makes an empty one. */
export function objectStoreContract(
  name: string,
  make: () => Promise<ObjectStoreUnderTest>,
  options: { largeBytes?: number } = {},
): void {
  describe(`${name} keeps the promises of an object store`, () => {
    const opened = async () => (await make()).open();
    const bytes = (text: string) => Buffer.from(text);

    it('gives back what was put, byte for byte, to every process', async () => {
      const made = await make();
      const all = Buffer.from(Uint8Array.from({ length: 256 }, (_, index) => index));
      expect(await made.open().put('a/b.bin', all)).toBe('written');
      expect(await made.open().get('a/b.bin')).toEqual(all);
      expect(await made.open().put('empty', Buffer.alloc(0))).toBe('written');
      expect(await made.open().get('empty')).toEqual(Buffer.alloc(0));
    });

    streamContract(opened, { largeBytes: options.largeBytes ?? 3_000_000 });

    it('has nothing under a key that nobody wrote', async () => {
      const store = await opened();
      expect(await store.get('a')).toBeUndefined();
      expect(await store.get('a/b/c')).toBeUndefined();
      expect(await store.list({ prefix: '' })).toEqual({ keys: [], next: undefined });
    });

    it('replaces an object, and leaves it alone when only a new one is wanted', async () => {
      const store = await opened();
      await store.put('k', bytes('first'));
      expect(await store.put('k', bytes('second'))).toBe('written');
      expect(await store.put('k', bytes('third'), { onlyIfNew: true })).toBe('exists');
      expect(await store.get('k')).toEqual(bytes('second'));
    });

    it('lets one of many writers at once create an object', async () => {
      const made = await make();
      const writers = Array.from({ length: 20 }, (_, index) => ({ store: made.open(), text: `writer ${index}` }));
      const answers = await Promise.all(
        writers.map(({ store, text }) => store.put('race/k', bytes(text), { onlyIfNew: true })),
      );
      expect(answers.filter((answer) => answer === 'written')).toHaveLength(1);
      expect(await made.open().get('race/k')).toEqual(bytes(writers[answers.indexOf('written')]?.text ?? ''));
      expect((await made.open().list({ prefix: '' })).keys).toEqual(['race/k']);
    });

    it('never shows half an object to a reader beside its writers', async () => {
      const made = await make();
      const values = [Buffer.alloc(200_000, 1), Buffer.alloc(300_000, 2)];
      await made.open().put('k', values[0] ?? bytes(''));
      const writing = Promise.all(
        Array.from({ length: 20 }, (_, index) => made.open().put('k', values[index % 2] ?? bytes(''))),
      );
      for (let read = 0; read < 20; read += 1) {
        const found = await made.open().get('k');
        expect(values.some((value) => found?.equals(value))).toBe(true);
      }
      await writing;
    });

    it('lists in the order of bytes, page by page, below a prefix', async () => {
      const store = await opened();
      const keys = ['a', 'b-c', 'b.d', 'b/1', 'b/10', 'b/2/x', 'b/2/y', 'b0', 'c/z'];
      for (const key of keys.toReversed()) await store.put(key, bytes(key));
      expect(await store.list({ prefix: '' })).toEqual({ keys, next: undefined });
      expect(await pages(store, '', 2)).toEqual(keys);
      expect(await pages(store, '', 1)).toEqual(keys);
      expect(await pages(store, 'b/', 2)).toEqual(['b/1', 'b/10', 'b/2/x', 'b/2/y']);
      expect(await pages(store, 'b/1', 10)).toEqual(['b/1', 'b/10']);
      expect(await pages(store, 'b/2/', 1)).toEqual(['b/2/x', 'b/2/y']);
      expect(await pages(store, 'nothing', 1)).toEqual([]);
      expect((await store.list({ prefix: 'b/', after: 'b/15' })).keys).toEqual(['b/2/x', 'b/2/y']);
    });

    it('goes on listing after a key that was removed meanwhile', async () => {
      const store = await opened();
      for (const key of ['a', 'b', 'c', 'd']) await store.put(key, bytes(key));
      const first = await store.list({ prefix: '', limit: 2 });
      for (const key of first.keys) await store.remove(key);
      expect(await store.list({ prefix: '', after: first.next, limit: 2 })).toEqual({
        keys: ['c', 'd'],
        next: undefined,
      });
    });

    it('removes, and says nothing when there is nothing to remove', async () => {
      const store = await opened();
      await store.put('a/b', bytes('x'));
      await store.remove('a/b');
      await store.remove('a/b');
      await store.remove('never/there');
      expect(await store.get('a/b')).toBeUndefined();
      expect(await store.put('a/b', bytes('y'), { onlyIfNew: true })).toBe('written');
    });

    it.each(['../x', 'a/../../x', '/etc/passwd', '.incoming/x', '', 'a\0'])('refuses the key %j', async (key) => {
      const store = await opened();
      const refusal = { code: 'invalid-request' };
      await expect(store.put(key, bytes('x'))).rejects.toMatchObject(refusal);
      await expect(store.get(key)).rejects.toMatchObject(refusal);
      await expect(store.remove(key)).rejects.toMatchObject(refusal);
    });

    it('has every object whole after its writer was killed, and all that it was told of', async () => {
      const made = await make();
      for (let round = 0; round < 3; round += 1) {
        const told = await killedWriter(made.writer, { afterObjects: 5 });
        const store = made.open();
        const keys = await pages(store, 'written/', 100);
        expect(keys).toEqual(expect.arrayContaining(told));
        for (const key of keys) {
          const number = Number(key.slice(-6));
          expect(await store.get(key)).toEqual(writtenObject(number));
        }
        // a server may finish what it has received in full after the writer's death; nothing else is there
        expect((await pages(store, '', 100)).filter((key) => !key.startsWith('written/'))).toEqual([]);
      }
    });
  });
}

async function pages(store: ObjectStore, prefix: string, limit: number): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list({ prefix, after, limit });
    expect(page.keys.length).toBeLessThanOrEqual(limit);
    keys.push(...page.keys);
    after = page.next;
  } while (after !== undefined);
  return keys;
}

/** Starts a writer and kills it while it writes. Returns the keys it had been told were written. */
async function killedWriter(
  { command, args }: ObjectStoreUnderTest['writer'],
  { afterObjects }: { afterObjects: number },
): Promise<string[]> {
  const child: ChildProcess = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const exited = once(child, 'exit');
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    if (output.split('\n').length > afterObjects) child.kill('SIGKILL');
  });
  const [code, signal] = (await exited) as [number | null, string | null];
  expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
  return output.split('\n').slice(0, -1);
}
