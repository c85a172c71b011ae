import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

/** Of what a test writes, in pieces of `pieceSize`. */
export async function* inPieces(bytes: Buffer, pieceSize: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceSize) yield bytes.subarray(at, at + pieceSize);
}

export async function readWhole(store: ObjectStore, key: string): Promise<Buffer | undefined> {
  const found = await store.read(key);
  if (found === undefined) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of found.bytes) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  expect(bytes.length).toBe(found.size);
  return bytes;
}

const digestOf = (bytes: Buffer) => ({ size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });

/** What every object store promises of streams. `opened` opens an empty one. */
export function streamContract(opened: () => Promise<ObjectStore>, options: { largeBytes: number }): void {
  it.each([
    ['nothing', 0, 1_000],
    ['a byte', 1, 1_000],
    ['small pieces', 300_000, 7_777],
    ['one large piece', 3_000_000, 3_000_000],
    ['more than one part', options.largeBytes, 1_000_003],
  ])('writes and reads a stream of %s', async (_what, size, pieceSize) => {
    const store = await opened();
    const bytes = randomBytes(size);
    const written = await store.write('s/k', inPieces(bytes, pieceSize));
    expect(written).toMatchObject({ outcome: 'written', content: digestOf(bytes) });
    expect((await readWhole(store, 's/k'))?.equals(bytes)).toBe(true);
    expect((await store.get('s/k'))?.equals(bytes)).toBe(true);
    expect(await store.head('s/k')).toMatchObject({ size });
    expect((await store.list({ prefix: '' })).keys).toEqual(['s/k']);
  });

  it('reads a stream from any byte on, and says when there is none', async () => {
    const store = await opened();
    const bytes = randomBytes(700_000);
    await store.write('k', inPieces(bytes, 100_000));
    for (const from of [0, 1, 262_143, 262_144, 262_145, 524_288, 699_999]) {
      const found = await store.read('k', { from });
      expect(found?.size).toBe(700_000);
      const pieces: Buffer[] = [];
      for await (const piece of found?.bytes ?? []) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(bytes.subarray(from)), `from ${from}`).toBe(true);
    }
    await expect(store.read('k', { from: 700_000 })).rejects.toMatchObject({ code: 'invalid-request' });
    expect(await store.read('other', { from: 1 })).toBeUndefined();
  });

  it('has no stream and no facts under a key that nobody wrote', async () => {
    const store = await opened();
    expect(await store.read('a/b')).toBeUndefined();
    expect(await store.head('a/b')).toBeUndefined();
  });

  it('says when an object was written', async () => {
    const store = await opened();
    await store.put('k', Buffer.from('x'));
    const age = Date.now() - ((await store.head('k'))?.writtenAt.getTime() ?? 0);
    // S3 tells whole seconds
    expect(age).toBeGreaterThan(-1_000);
    expect(age).toBeLessThan(60_000);
  });

  it('replaces an object by a stream, and leaves it alone when only a new one is wanted', async () => {
    const store = await opened();
    await store.write('k', inPieces(Buffer.from('first'), 2));
    await store.write('k', inPieces(Buffer.from('second'), 2));
    expect(await store.write('k', inPieces(Buffer.from('third'), 2), { onlyIfNew: true })).toEqual({
      outcome: 'exists',
    });
    expect(await store.get('k')).toEqual(Buffer.from('second'));
  });

  it('lets one of many streams at once create an object', async () => {
    const store = await opened();
    const texts = Array.from({ length: 10 }, (_, index) => Buffer.from(`writer ${index}`));
    const answers = await Promise.all(
      texts.map(async (text) => (await store.write('race/k', inPieces(text, 3), { onlyIfNew: true })).outcome),
    );
    expect(answers.filter((answer) => answer === 'written')).toHaveLength(1);
    expect(await store.get('race/k')).toEqual(texts[answers.indexOf('written')]);
  });

  it.each([10, options.largeBytes])(
    'writes nothing when the source breaks after %i bytes, and throws what it threw',
    async (size) => {
      const store = await opened();
      const broken = Object.assign(new Error('the source broke'), { code: 'ENOENT' });
      async function* breaking() {
        yield* inPieces(randomBytes(size), 1_000_000);
        throw broken;
      }
      await expect(store.write('k', breaking())).rejects.toBe(broken);
      expect(await store.get('k')).toBeUndefined();
      expect(await store.list({ prefix: '' })).toEqual({ keys: [], next: undefined });
      expect(await store.put('k', Buffer.from('x'), { onlyIfNew: true })).toBe('written');
    },
  );

  it('writes only the bytes that were announced', async () => {
    const store = await opened();
    const bytes = randomBytes(options.largeBytes);
    const { sha256 } = digestOf(bytes);
    const write = (expected: { size?: number; sha256?: string }) =>
      store.write('k', inPieces(bytes, 1_000_000), { expected });
    await expect(write({ size: bytes.length + 1 })).rejects.toMatchObject({ code: 'damaged' });
    await expect(write({ sha256: sha256.replace(/^./, (c) => (c === '0' ? '1' : '0')) })).rejects.toMatchObject({
      code: 'damaged',
    });
    expect(await store.get('k')).toBeUndefined();
    expect(await write({ size: bytes.length, sha256 })).toMatchObject({ outcome: 'written' });
  });

  it.each([10, options.largeBytes])('closes a source of %i bytes that it does not read to its end', async (size) => {
    const store = await opened();
    await store.put('k', Buffer.from('there already'));
    const source = Readable.from(inPieces(randomBytes(size), 1_000_000));
    expect(await store.write('k', source, { onlyIfNew: true })).toEqual({ outcome: 'exists' });
    expect(source.destroyed).toBe(true);
  });

  it('may be left in the middle of a stream', async () => {
    const store = await opened();
    await store.write('k', inPieces(randomBytes(2_000_000), 100_000));
    for (let round = 0; round < 20; round += 1) {
      for await (const piece of (await store.read('k'))?.bytes ?? []) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
    }
    expect((await readWhole(store, 'k'))?.length).toBe(2_000_000);
  });

  it.each(['../x', '', '.incoming/x'])('refuses the key %j for streams, too', async (key) => {
    const store = await opened();
    const refusal = { code: 'invalid-request' };
    await expect(store.write(key, inPieces(Buffer.from('x'), 1))).rejects.toMatchObject(refusal);
    await expect(store.read(key)).rejects.toMatchObject(refusal);
    await expect(store.head(key)).rejects.toMatchObject(refusal);
  });
}
