import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

// Object stores that fail in the ways real ones do. `isMeant` says for which keys; the others are as they were.

type Meant = (key: string) => boolean;

/** Cannot be reached for these keys, for the first so many calls. */
export function refusingStore(store: ObjectStore, isMeant: Meant, { calls = Number.POSITIVE_INFINITY } = {}) {
  let refused = 0;
  const refuse = (key: string) => {
    if (!isMeant(key) || refused >= calls) return;
    refused += 1;
    throw new Failure('unavailable', 'The object store cannot be reached.');
  };
  const refusing: ObjectStore = {
    ...store,
    async get(key) {
      refuse(key);
      return await store.get(key);
    },
    async read(key, options) {
      refuse(key);
      return await store.read(key, options);
    },
    async put(key, bytes, options) {
      refuse(key);
      return await store.put(key, bytes, options);
    },
    async write(key, bytes, options) {
      refuse(key);
      return await store.write(key, bytes, options);
    },
  };
  return { store: refusing, refused: () => refused };
}

/** Closes the connection after the first bytes of what is read. */
export function breakingStore(store: ObjectStore, isMeant: Meant): ObjectStore {
  async function* broken(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of bytes) {
      yield piece.subarray(0, Math.ceil(piece.length / 2));
      break;
    }
    throw new Failure('unavailable', 'The object store closed the connection.');
  }
  return {
    ...store,
    async read(key, options) {
      const found = await store.read(key, options);
      return found && isMeant(key) ? { ...found, bytes: broken(found.bytes) } : found;
    },
  };
}

/** Takes its time for every piece that is read or written. */
export function slowStore(store: ObjectStore, pieceMs: number): ObjectStore {
  async function* slowly<Piece>(bytes: AsyncIterable<Piece>): AsyncGenerator<Piece> {
    for await (const piece of bytes) {
      await delay(pieceMs);
      yield piece;
    }
  }
  return {
    ...store,
    async read(key, options) {
      const found = await store.read(key, options);
      return found && { ...found, bytes: slowly(found.bytes) };
    },
    write: (key, bytes, options) => store.write(key, slowly(bytes), options),
  };
}

/** Has no room for these keys. */
export function fullStore(store: ObjectStore, isMeant: Meant): ObjectStore {
  const refuse = (key: string) => {
    if (isMeant(key)) throw new Failure('no-capacity', 'The object store is full.');
  };
  return {
    ...store,
    async put(key, bytes, options) {
      refuse(key);
      return await store.put(key, bytes, options);
    },
    async write(key, bytes, options) {
      if (!isMeant(key)) return await store.write(key, bytes, options);
      // as a store does that learns of it when it has taken some
      for await (const piece of bytes) if (piece.length > 0) break;
      throw new Failure('no-capacity', 'The object store is full.');
    },
  };
}

/** Says that it has written, or that it gives, all of these, and loses the last bytes. */
export function losingStore(store: ObjectStore, isMeant: Meant, tail = 30): ObjectStore {
  async function* cut(bytes: AsyncIterable<Buffer>, size: number): AsyncGenerator<Buffer> {
    let left = size - tail;
    for await (const piece of bytes) {
      yield piece.subarray(0, Math.max(0, left));
      left -= piece.length;
    }
  }
  return {
    ...store,
    async read(key, options) {
      const found = await store.read(key, options);
      return found && isMeant(key) ? { ...found, bytes: cut(found.bytes, found.size) } : found;
    },
    async write(key, bytes, options) {
      const written = await store.write(key, bytes, options);
      if (isMeant(key)) {
        const whole = (await store.get(key)) ?? Buffer.alloc(0);
        await store.put(key, whole.subarray(0, -tail));
      }
      return written;
    },
  };
}
