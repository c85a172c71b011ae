import { Failure } from '#shared/domain/failure.ts';
import { checkFrom, checkKey } from '#shared/domain/objects/keys.ts';
import type { ObjectStore, ReadObject, WriteOptions, Written } from '#shared/domain/objects/ports.ts';
import { chunkAt, contentSize, seal, sealedHeaderSize, unseal, unsealFrom } from '#shared/domain/objects/sealing.ts';
import { checkExpected, measured, onePiece } from './measured.ts';

/**
 * The same store with every object encrypted by `key` (32 bytes) and bound to its name in the store; names are not
 * encrypted. Sizes are those of the content, except in what `write` tells as `stored`.
 *
 * Reading throws Failure `damaged` as well: what is there is not what was written under this name with this key. Of a
 * stream the beginning may have been given out before.
 */
export function encryptedStore(store: ObjectStore, key: Uint8Array): ObjectStore {
  async function write(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    { expected, ...options }: WriteOptions = {},
  ): Promise<Written> {
    checkKey(name);
    const source = measured(bytes);
    let content = { size: 0, sha256: '' };
    async function* sealed() {
      yield* seal(source.pieces, { key, name });
      content = source.digest();
      // thrown before the end of the stream, so that nothing is written
      checkExpected(name, content, expected);
    }
    const written = await store.write(name, sealed(), options);
    return written.outcome === 'exists' ? written : { ...written, content };
  }

  return {
    put: async (name, bytes, options) => (await write(name, onePiece(bytes), options)).outcome,
    write,

    async get(name) {
      const sealed = await store.get(name);
      if (sealed === undefined) return undefined;
      const pieces: Buffer[] = [];
      for await (const piece of unseal(onePiece(sealed), { key, name })) pieces.push(piece);
      return Buffer.concat(pieces);
    },

    async read(name, { from = 0 } = {}) {
      if (from > 0) return await readFrom(store, name, { key, from });
      const sealed = await store.read(name);
      if (sealed === undefined) return undefined;
      // a size that cannot be is found to be damage when the bytes are read
      return { size: contentSize(sealed.size) ?? 0, bytes: unseal(sealed.bytes, { key, name }) };
    },

    async head(name) {
      const found = await store.head(name);
      if (found === undefined) return undefined;
      const size = contentSize(found.size);
      if (size !== undefined) return { ...found, size };
      throw new Failure('damaged', `The object ${name} has ${found.size} bytes, as no encrypted object does.`);
    },

    list: (options) => store.list(options),
    remove: (name) => store.remove(name),
  };
}

/** Reads the header, then from the chunk on that holds the byte. */
async function readFrom(
  store: ObjectStore,
  name: string,
  { key, from }: { key: Uint8Array; from: number },
): Promise<ReadObject | undefined> {
  const whole = await store.read(name);
  if (whole === undefined) return undefined;
  const size = contentSize(whole.size) ?? 0;
  const header = await firstOf(whole.bytes, sealedHeaderSize);
  checkFrom(name, { from, size });
  const rest = await store.read(name, { from: chunkAt(from).at });
  if (rest?.size === whole.size) return { size, bytes: unsealFrom(header, rest.bytes, { key, name, from }) };
  throw new Failure('unavailable', `The object ${name} was replaced or removed while it was read.`);
}

async function firstOf(bytes: AsyncIterable<Buffer>, size: number): Promise<Buffer> {
  let first = Buffer.alloc(0);
  for await (const piece of bytes) {
    first = Buffer.concat([first, piece]);
    if (first.length >= size) break;
  }
  return first.subarray(0, size);
}
