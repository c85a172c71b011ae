/** Bytes that wait, in the order they came. */
export type ByteQueue = {
  push(bytes: Uint8Array): void;
  length(): number;
  /** The first `size` of them; copied only where they came in several pieces. */
  take(size: number): Buffer;
};

export function byteQueue(): ByteQueue {
  const pieces: Buffer[] = [];
  let waiting = 0;
  return {
    push(bytes) {
      if (bytes.length === 0) return;
      pieces.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      waiting += bytes.length;
    },
    length: () => waiting,
    take(size) {
      if (size > waiting) throw new RangeError(`${size} of ${waiting} bytes cannot be taken`);
      waiting -= size;
      const first = pieces[0];
      if (first !== undefined && first.length > size) {
        pieces[0] = first.subarray(size);
        return first.subarray(0, size);
      }
      if (first?.length === size) {
        pieces.shift();
        return first;
      }
      return gather(pieces, size);
    },
  };
}

function gather(pieces: Buffer[], size: number): Buffer {
  const taken = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const piece = pieces[0];
    if (piece === undefined) break;
    const part = piece.subarray(0, size - filled);
    part.copy(taken, filled);
    filled += part.length;
    if (part.length === piece.length) pieces.shift();
    else pieces[0] = piece.subarray(part.length);
  }
  return taken;
}

export type Chunk = { chunk: Buffer; isLast: boolean };

/**
 * The same bytes in chunks of `size`, and at the end one of 1 to `size` bytes, marked as the last; of no bytes one empty
 * chunk. `before` comes first.
 */
export async function* chunksOf(
  bytes: AsyncIterable<Uint8Array>,
  size: number,
  before: Uint8Array = Buffer.alloc(0),
): AsyncGenerator<Chunk> {
  const queue = byteQueue();
  queue.push(before);
  // a full chunk waits until more is known to follow
  while (queue.length() > size) yield { chunk: queue.take(size), isLast: false };
  for await (const piece of bytes) {
    queue.push(piece);
    while (queue.length() > size) yield { chunk: queue.take(size), isLast: false };
  }
  yield { chunk: queue.take(queue.length()), isLast: true };
}
