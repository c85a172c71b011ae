/** How a driver turns the text of a column into a value, by the type's OID. */
export type TypeParsers = { getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown };

const int8 = 20;

/**
 * The driver's own parsers, with one change: `bigint` becomes a number. Ours are counters (fence, generation, sequence,
 * `count(*)`); one that no longer fits is an error, never a rounded value.
 */
export function withNumbers(driver: {
  getTypeParser: (oid: never, format?: never) => (text: string) => unknown;
}): TypeParsers {
  return {
    getTypeParser(oid, format) {
      return oid === int8 ? safeInteger : driver.getTypeParser(oid as never, format as never);
    },
  };
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError('a bigint of the database is beyond 2^53: read it as text');
  return value;
}
