import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromBufferPromise } from 'yauzl';
import { type ZipEntry, zipOf } from './zip-writer.ts';

async function* once(...pieces: (Buffer | Error)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield piece;
  }
}
async function* listed(...entries: ZipEntry[]): AsyncGenerator<ZipEntry> {
  yield* entries;
}
async function bytesOf(entries: AsyncIterable<ZipEntry>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of zipOf(entries, new Date('2027-02-01T10:00:00Z'))) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a zip that is written as its contents come', () => {
  it('has each file under its name with its content', async () => {
    const random = randomBytes(300_000);
    const files = new Map([
      ['dump.sql', Buffer.from('SELECT 1;\n'.repeat(50_000))],
      ['filestore/ab/abc', random],
      ['empty', Buffer.alloc(0)],
    ]);
    const entries = [...files].map(([name, bytes]) => {
      return { name, content: once(bytes.subarray(0, 100_000), bytes.subarray(100_000)), level: 6 };
    });
    const zip = await bytesOf(listed(...entries));
    expect(zip.length).toBeLessThan(320_000);
    const read = new Map<string, Buffer>();
    const opened = await fromBufferPromise(zip, { lazyEntries: true });
    for await (const entry of opened.eachEntry()) {
      const pieces: Buffer[] = [];
      for await (const piece of await opened.openReadStreamPromise(entry)) pieces.push(piece);
      read.set(entry.fileName, Buffer.concat(pieces));
    }
    expect([...read.keys()]).toEqual([...files.keys()]);
    for (const [name, bytes] of files) expect(read.get(name)?.equals(bytes), name).toBe(true);
  });

  it('throws what a content throws, and what the list of entries throws', async () => {
    const broken = { name: 'b', content: once(Buffer.from('x'), new Error('the source is gone')), level: 6 };
    const whole = { name: 'a', content: once(Buffer.from('x')), level: 6 };
    await expect(bytesOf(listed(whole, broken))).rejects.toThrow('the source is gone');
    async function* ends(): AsyncGenerator<ZipEntry> {
      yield whole;
      throw new Error('no more');
    }
    await expect(bytesOf(ends())).rejects.toThrow('no more');
  });

  it('closes what it reads from when nobody reads on', async () => {
    let isClosed = false;
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield randomBytes(65_536);
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of zipOf(listed({ name: 'a', content: endless(), level: 0 }), new Date())) break;
    expect(isClosed).toBe(true);
  });
});
