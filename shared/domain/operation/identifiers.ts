import { createHash, randomBytes } from 'node:crypto';

function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

function withVersion(bytes: Buffer, version: number): Buffer {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | (version << 4), 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes;
}

/** A UUIDv7 (RFC 9562): 48 bits of time, 74 random bits. Time and randomness are arguments for tests. */
export function newOperationId(nowMs: number = Date.now(), random: Buffer = randomBytes(10)): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  random.copy(bytes, 6, 0, 10);
  return uuidText(withVersion(bytes, 7));
}

/**
 * The id of an event that an operation causes: a UUIDv8 (RFC 9562) of (operation, what), always the same, so that a
 * transition that is written again does not make a second event.
 */
export function eventIdOf(operationId: string, what: string): string {
  const digest = createHash('sha256').update(`${operationId}\n${what}`, 'utf8').digest().subarray(0, 16);
  return uuidText(withVersion(Buffer.from(digest), 8));
}

/** A name part of 8 characters from the random tail of an operation id: the head is time and collides. */
export function shortOperationId(operationId: string): string {
  return operationId.replaceAll('-', '').slice(-8);
}
