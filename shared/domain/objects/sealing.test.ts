import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentSize, seal, sealedSize, unseal } from './sealing.ts';

const key = randomBytes(32);
const name = 'backups/i/b/1/dump';
const chunk = 256 * 1_024;
const header = 56;
const tag = 16;

async function* pieces(bytes: Uint8Array, size = 100_003): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
async function whole(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const found: Uint8Array[] = [];
  for await (const piece of bytes) found.push(piece);
  return Buffer.concat(found);
}
const sealWhole = (bytes: Uint8Array, under = { key, name }) => whole(seal(pieces(bytes), under));
const open = (sealed: Uint8Array, under = { key, name }) => whole(unseal(pieces(sealed), under));
const refused = (message: RegExp) => ({ code: 'damaged', message: expect.stringMatching(message) });
const flipped = (bytes: Buffer, at: number, bit: number) => {
  const other = Buffer.from(bytes);
  other[at] = (other[at] ?? 0) ^ (1 << bit);
  return other;
};

// three chunks and a bit: everything that goes wrong is tried on it
const content = randomBytes(3 * chunk + 1_000);
const sealed = await sealWhole(content);
const chunkAt = (number: number) => header + number * (chunk + tag);

describe('a sealed object', () => {
  it('is opened to what it was, whatever its size and the pieces it comes in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.nat(2_000), fc.constantFrom(chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 5)),
        fc.integer({ min: 1, max: 300_000 }),
        async (size, pieceSize) => {
          const bytes = randomBytes(size);
          const inPieces = Math.max(pieceSize, Math.ceil(size / 2_000));
          const result = await whole(seal(pieces(bytes, inPieces), { key, name }));
          expect(result.length).toBe(sealedSize(size));
          expect(contentSize(result.length)).toBe(size);
          expect((await whole(unseal(pieces(result, inPieces), { key, name }))).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('shows nothing of its content, and is another each time', async () => {
    const text = Buffer.from('a customer’s secret, which is long enough to be found');
    const [one, two] = [await sealWhole(text), await sealWhole(text)];
    expect(one.includes(text.subarray(0, 8))).toBe(false);
    expect(one.includes(key)).toBe(false);
    expect(one.subarray(-40).equals(two.subarray(-40))).toBe(false);
  });

  it('is refused when it is cut off, wherever', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), async (size) => {
        await expect(open(sealed.subarray(0, size))).rejects.toMatchObject({ code: 'damaged' });
      }),
      { numRuns: 60 },
    );
  });

  it.each([1, 2, 3])('is refused when it is cut off after %i chunks, and says so', async (chunks) => {
    await expect(open(sealed.subarray(0, chunkAt(chunks)))).rejects.toMatchObject(
      refused(new RegExp(`was cut off after ${chunks * chunk} bytes`)),
    );
  });

  it('is refused at every size up to its first chunk', async () => {
    const small = await sealWhole(Buffer.from('content'));
    for (let size = 0; size < small.length; size += 1) {
      await expect(open(small.subarray(0, size))).rejects.toMatchObject({ code: 'damaged' });
    }
    await expect(open(small.subarray(0, 0))).rejects.toMatchObject(refused(/is empty/));
    await expect(open(small.subarray(0, 20))).rejects.toMatchObject(refused(/ends within its header/));
  });

  it('is refused when something follows it', async () => {
    for (const more of [Buffer.alloc(1), Buffer.alloc(chunk + tag), sealed, sealed.subarray(chunkAt(3))]) {
      await expect(open(Buffer.concat([sealed, more]))).rejects.toMatchObject({ code: 'damaged' });
    }
  });

  it('is refused with any bit flipped', async () => {
    const small = await sealWhole(Buffer.from('content'));
    for (let at = 0; at < small.length; at += 1) {
      await expect(open(flipped(small, at, at % 8))).rejects.toMatchObject({ code: 'damaged' });
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (at, bit) => {
        await expect(open(flipped(sealed, at, bit))).rejects.toMatchObject({ code: 'damaged' });
      }),
      { numRuns: 60 },
    );
  });

  it('is refused with chunks swapped, repeated or left out', async () => {
    const parts = [0, 1, 2].map((number) => sealed.subarray(chunkAt(number), chunkAt(number + 1)));
    const last = sealed.subarray(chunkAt(3));
    const orders = [
      [1, 0, 2],
      [0, 2, 1],
      [0, 0, 1, 2],
      [1, 2],
      [0, 1],
      [0, 1, 2, 2],
    ];
    for (const order of orders) {
      const other = [sealed.subarray(0, header), ...order.map((number) => parts[number] ?? last), last];
      await expect(open(Buffer.concat(other))).rejects.toMatchObject({ code: 'damaged' });
    }
  });

  it("is refused with a chunk of another object's, of the same name and key", async () => {
    const other = await sealWhole(content);
    const spliced = Buffer.concat([
      sealed.subarray(0, chunkAt(1)),
      other.subarray(chunkAt(1), chunkAt(2)),
      sealed.subarray(chunkAt(2)),
    ]);
    await expect(open(spliced)).rejects.toMatchObject(refused(/wrong after 262144 bytes/));
  });

  it('is refused under another name, and with another key', async () => {
    await expect(open(sealed, { key, name: 'backups/i/b/2/dump' })).rejects.toMatchObject(refused(/another name/));
    await expect(open(sealed, { key: randomBytes(32), name })).rejects.toMatchObject(refused(/another key/));
  });

  it('is refused when it was never one', async () => {
    await expect(open(randomBytes(1_000))).rejects.toMatchObject(refused(/does not begin as/));
    await expect(open(Buffer.alloc(0))).rejects.toMatchObject(refused(/is empty/));
  });

  it('gives out nothing that is not authentic', async () => {
    const given: Buffer[] = [];
    const bad = flipped(sealed, chunkAt(2) + 5, 0);
    await expect(async () => {
      for await (const piece of unseal(pieces(bad), { key, name })) given.push(piece);
    }).rejects.toThrow(/wrong after 524288 bytes/);
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(hash(Buffer.concat(given))).toBe(hash(content.subarray(0, 2 * chunk)));
  });

  it('closes its source when the reader leaves, and when it is refused', async () => {
    let closed = 0;
    async function* source(bytes: Buffer) {
      try {
        yield* pieces(bytes);
      } finally {
        closed += 1;
      }
    }
    for await (const _ of unseal(source(sealed), { key, name })) break;
    expect(closed).toBe(1);
    await expect(whole(unseal(source(flipped(sealed, 3, 1)), { key, name }))).rejects.toThrow(/does not begin/);
    expect(closed).toBe(2);
    await expect(whole(unseal(source(flipped(sealed, 300, 1)), { key, name }))).rejects.toThrow(/not what was written/);
    expect(closed).toBe(3);
  });

  it('has no other sizes than its format gives', () => {
    for (let size = 0; size < header + tag; size += 1) expect(contentSize(size)).toBeUndefined();
    expect(contentSize(header + tag)).toBe(0);
    expect(contentSize(sealedSize(chunk) + 1)).toBeUndefined();
    expect(contentSize(sealedSize(chunk) + 17)).toBe(chunk + 1);
  });

  it('has a key of 32 bytes', async () => {
    await expect(sealWhole(content, { key: randomBytes(16), name })).rejects.toThrow(/has 32 bytes, not 16/);
  });
});
