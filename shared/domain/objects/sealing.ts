import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { Failure } from '../failure.ts';
import { byteQueue, chunksOf } from './chunks.ts';

// The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM, much as age has it
// (https://age-encryption.org/v1): each chunk is authenticated with its number and with whether it is the last, so that
// nothing can be cut off, repeated, reordered or put in from elsewhere.
//
//   header   magic "OFBK" · version 1 · 3 zero bytes · id of the key (16) · salt (32)
//   chunks   AES-256-GCM of 256 KiB each, the last one shorter or as long, with its tag of 16 bytes
//
// Each object has a key of its own, HKDF-SHA256 of the given key and the salt: a nonce is then only a number, and never
// used twice however many objects one key seals. Every chunk authenticates header and name of the object, too.

const magic = Buffer.from('OFBK\x01\0\0\0', 'latin1');
const idSize = 16;
const saltSize = 32;
const headerSize = magic.length + idSize + saltSize;
const chunkSize = 256 * 1_024;
const tagSize = 16;
const maxChunks = 2 ** 32;

export type SealOptions = {
  /** 32 bytes. */
  key: Uint8Array;
  /** Of the object: its whole key in the store. What was sealed under one name is refused under another. */
  name: string;
};

/** Encrypts a stream of any length. Nothing is the same when the same bytes are sealed again. */
export async function* seal(bytes: AsyncIterable<Uint8Array>, { key, name }: SealOptions): AsyncGenerator<Buffer> {
  const header = Buffer.concat([magic, idOf(key), randomBytes(saltSize)]);
  const chunkCipher = cipherOf(header, { key, name });
  yield header;
  let number = 0;
  for await (const { chunk, isLast } of chunksOf(bytes, chunkSize)) {
    const cipher = createCipheriv('aes-256-gcm', chunkCipher.key, nonceOf(number, isLast));
    cipher.setAAD(chunkCipher.bound);
    yield cipher.update(chunk);
    cipher.final();
    yield cipher.getAuthTag();
    number += 1;
  }
}

/**
 * Decrypts what `seal` made. Each piece is authentic when it is given out; that it was all is known only when the stream
 * ends without a failure.
 * @throws Failure `damaged` when a bit is other than it was written, something is missing or added, the name is another,
 * or the key is.
 */
export async function* unseal(sealed: AsyncIterable<Uint8Array>, { key, name }: SealOptions): AsyncGenerator<Buffer> {
  const source = sealed[Symbol.asyncIterator]();
  let isOver = false;
  const rest: AsyncIterableIterator<Uint8Array> = {
    async next() {
      const next = await source.next();
      isOver = next.done === true;
      return next;
    },
    [Symbol.asyncIterator]: () => rest,
  };
  try {
    const { header, following } = await readHeader(rest, { key, name });
    const chunkCipher = cipherOf(header, { key, name });
    let number = 0;
    for await (const { chunk, isLast } of chunksOf(rest, chunkSize + tagSize, following)) {
      const opened = openChunk(chunk, chunkCipher, { number, isLast });
      if (opened === undefined) throw chunkDamaged(chunk, chunkCipher, { number, isLast, name });
      yield opened;
      number += 1;
    }
  } finally {
    if (!isOver) await source.return?.();
  }
}

/** Bytes at the beginning of a sealed object that `unsealFrom` needs, wherever it begins. */
export const sealedHeaderSize = headerSize;

/** Where the chunk begins that holds the byte `from` of the content: its number, and its place in the sealed object. */
export function chunkAt(from: number): { number: number; at: number } {
  const number = Math.floor(from / chunkSize);
  return { number, at: headerSize + number * (chunkSize + tagSize) };
}

/**
 * As `unseal`, of the content from the byte `from` on. `sealed` begins where `chunkAt` says. What is before is not looked
 * at; what is given out is authentic and in its place all the same, for every chunk is bound to its number.
 */
export async function* unsealFrom(
  header: Buffer,
  sealed: AsyncIterable<Uint8Array>,
  { key, name, from }: SealOptions & { from: number },
): AsyncGenerator<Buffer> {
  async function* nothing(): AsyncGenerator<Uint8Array> {
    yield header;
  }
  await readHeader(nothing(), { key, name });
  const chunkCipher = cipherOf(header, { key, name });
  let { number } = chunkAt(from);
  let left = from - number * chunkSize;
  for await (const { chunk, isLast } of chunksOf(sealed, chunkSize + tagSize)) {
    const opened = openChunk(chunk, chunkCipher, { number, isLast });
    if (opened === undefined) throw chunkDamaged(chunk, chunkCipher, { number, isLast, name });
    yield opened.subarray(left);
    left = 0;
    number += 1;
  }
}

/** Size of the object that content of `size` bytes becomes. */
export function sealedSize(size: number): number {
  return headerSize + size + tagSize * Math.max(1, Math.ceil(size / chunkSize));
}

/** Size of the content of an object of `size` bytes, or undefined when no content becomes an object of that size. */
export function contentSize(size: number): number | undefined {
  const chunks = Math.max(1, Math.ceil((size - headerSize) / (chunkSize + tagSize)));
  const content = size - headerSize - tagSize * chunks;
  return content >= 0 && sealedSize(content) === size ? content : undefined;
}

async function readHeader(bytes: AsyncIterableIterator<Uint8Array>, { key, name }: SealOptions) {
  const queue = byteQueue();
  while (queue.length() < headerSize) {
    const next = await bytes.next();
    if (next.done === true) break;
    queue.push(next.value);
  }
  if (queue.length() === 0) throw damaged(name, 'is empty, which no encrypted object is');
  if (queue.length() < headerSize) throw damaged(name, 'ends within its header');
  const header = queue.take(headerSize);
  if (!header.subarray(0, magic.length).equals(magic))
    throw damaged(name, 'does not begin as an encrypted object does');
  if (!header.subarray(magic.length, magic.length + idSize).equals(idOf(key))) {
    throw damaged(name, 'is encrypted with another key than the one given');
  }
  return { header, following: queue.take(queue.length()) };
}

type ChunkCipher = { key: Buffer; bound: Buffer };

function cipherOf(header: Buffer, { key, name }: SealOptions): ChunkCipher {
  const salt = header.subarray(headerSize - saltSize);
  return {
    key: Buffer.from(hkdfSync('sha256', key, salt, 'odoo-fleet object v1', 32)),
    bound: Buffer.concat([header, Buffer.from(name)]),
  };
}

/** What a key is known by; the key cannot be found from it. */
function idOf(key: Uint8Array): Buffer {
  if (key.length !== 32) throw new Failure('internal', `A key for objects has 32 bytes, not ${key.length}.`);
  return createHmac('sha256', key).update('odoo-fleet object key id').digest().subarray(0, idSize);
}

function nonceOf(number: number, isLast: boolean): Buffer {
  if (number >= maxChunks) throw new Failure('invalid-request', 'An encrypted object has at most 2^32 chunks.');
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(number, 7);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/** undefined: it is not authentic. */
function openChunk(
  chunk: Buffer,
  { key, bound }: ChunkCipher,
  { number, isLast }: { number: number; isLast: boolean },
): Buffer | undefined {
  if (chunk.length < tagSize || (chunk.length === tagSize && number > 0)) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number, isLast), { authTagLength: tagSize });
  decipher.setAAD(bound);
  decipher.setAuthTag(chunk.subarray(chunk.length - tagSize));
  const content = decipher.update(chunk.subarray(0, chunk.length - tagSize));
  try {
    decipher.final();
    return content;
  } catch {
    // Node's error says no more than that
    return undefined;
  }
}

function chunkDamaged(
  chunk: Buffer,
  cipher: ChunkCipher,
  { number, isLast, name }: { number: number; isLast: boolean; name: string },
): Failure {
  const after = number * chunkSize;
  const isWhole = isLast && (chunk.length === 0 || openChunk(chunk, cipher, { number, isLast: false }) !== undefined);
  if (isWhole)
    return damaged(name, `was cut off after ${after + Math.max(0, chunk.length - tagSize)} bytes of its content`);
  return damaged(
    name,
    `is not what was written, or was written under another name: wrong after ${after} bytes of its content`,
  );
}

function damaged(name: string, what: string): Failure {
  return new Failure('damaged', `The object ${name} ${what}.`);
}
