import { createHash } from 'node:crypto';
import { Failure } from '#shared/domain/failure.ts';
import type { Digest, WriteOptions } from '#shared/domain/objects/ports.ts';

/** Bytes on their way into a store. */
export type Measured = {
  pieces: AsyncGenerator<Uint8Array>;
  /** Of what went by; to be asked once. */
  digest(): Digest;
  /** What the source threw, if it did: no failure of the store's. */
  thrown(): { error: unknown } | undefined;
};

/** Hashes and counts bytes as they go by. */
export function measured(bytes: AsyncIterable<Uint8Array>): Measured {
  const hash = createHash('sha256');
  let size = 0;
  let thrown: { error: unknown } | undefined;
  const source = bytes[Symbol.asyncIterator]();
  async function* going(): AsyncGenerator<Uint8Array> {
    let isOver = false;
    try {
      for (;;) {
        const next = await source.next().catch((error: unknown) => {
          thrown = { error };
          isOver = true;
          throw error;
        });
        if (next.done === true) {
          isOver = true;
          return;
        }
        hash.update(next.value);
        size += next.value.length;
        yield next.value;
      }
    } finally {
      // the store gave up: the source may close what it has open
      if (!isOver) await source.return?.();
    }
  }
  return { pieces: going(), digest: () => ({ size, sha256: hash.digest('hex') }), thrown: () => thrown };
}

/** @throws Failure `damaged` when the bytes are not those that were announced. */
export function checkExpected(key: string, content: Digest, expected: WriteOptions['expected'] = {}): void {
  const { size, sha256 } = expected;
  if (size !== undefined && size !== content.size) {
    throw new Failure(
      'damaged',
      `The bytes for the object ${key} are ${content.size}, not ${size}: nothing is written.`,
    );
  }
  if (sha256 !== undefined && sha256 !== content.sha256) {
    throw new Failure(
      'damaged',
      `The bytes for the object ${key} have another sha256 than expected: nothing is written.`,
    );
  }
}

/** One piece as a stream. */
export async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
