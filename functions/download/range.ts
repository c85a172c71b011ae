/** Bytes from `first` to `last`, both of them included. */
export type ByteRange = { first: number; last: number };

/**
 * What a Range header asks for (RFC 9110 §14.2) of so many bytes. `whole`: there is none, or one that may be ignored, as
 * every list of several is; `unsatisfiable`: it begins behind the end.
 */
export function rangeOf(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (from === '' && to === '') return 'whole';
  if (from === '') {
    const count = Math.min(Number(to), size);
    return count === 0 ? 'unsatisfiable' : { first: size - count, last: size - 1 };
  }
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (first >= size) return 'unsatisfiable';
  return last < first ? 'whole' : { first, last };
}

/** So many bytes of a stream. Leaving it closes the stream. */
export async function* beginningOf(bytes: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer> {
  let left = count;
  for await (const piece of bytes) {
    if (left > 0) yield piece.subarray(0, left);
    left -= piece.length;
    // At its end the stream is asked once more: that it was all is known only then.
    if (left < 0) return;
  }
}
