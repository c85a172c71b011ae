import { Failure } from '#shared/domain/failure.ts';
import { checkKey } from '#shared/domain/objects/keys.ts';
import type { ObjectStore, WriteOptions, Written } from '#shared/domain/objects/ports.ts';
import { contentSize, seal, unseal } from '#shared/domain/objects/sealing.ts';
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

    async read(name) {
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
