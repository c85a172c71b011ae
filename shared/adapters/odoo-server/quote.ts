import { escapeIdentifier, escapeLiteral } from 'pg';
import { Failure } from '#shared/domain/failure.ts';

/** PostgreSQL cuts longer identifiers silently (NAMEDATALEN - 1), so that two names could become one. */
const longestIdentifierBytes = 63;

/**
 * A name as it may stand in SQL. Statements such as CREATE DATABASE take no parameters, so this is the last defence
 * for names: it is used even where the name was checked before.
 * @throws Failure `invalid-request` for a name that PostgreSQL cannot hold as it is: empty, over 63 bytes, or with a NUL.
 */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > longestIdentifierBytes) {
    throw new Failure('invalid-request', `A PostgreSQL name has 1 to ${longestIdentifierBytes} bytes and no NUL`);
  }
  return escapeIdentifier(name);
}

/**
 * A text as it may stand in SQL, for statements that take no parameters and for batches that go over in one piece.
 * @throws Failure `invalid-request` for a text with a NUL, which PostgreSQL cannot hold.
 */
export function quoteLiteral(value: string): string {
  if (value.includes('\0')) throw new Failure('invalid-request', 'A PostgreSQL text cannot hold a NUL');
  return escapeLiteral(value);
}
