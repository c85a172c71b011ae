import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Failure } from '#shared/domain/failure.ts';

/** PostgreSQL's own default (scram_iterations). */
const iterations = 4096;
const saltBytes = 16;

/**
 * What PostgreSQL stores for a password (RFC 5802, RFC 7677): `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
 * CREATE ROLE takes it in place of the password, so the password itself is in no statement and in no server log.
 * Only printable ASCII is accepted: there SASLprep (RFC 4013) changes nothing, so none is needed.
 * @throws Failure `invalid-request` for an empty password or one with other characters.
 */
export async function scramVerifier(password: string, salt: Buffer = randomBytes(saltBytes)): Promise<string> {
  if (!/^[\x20-\x7e]+$/.test(password)) {
    throw new Failure('invalid-request', 'A database password must be printable ASCII and not empty');
  }
  const saltedPassword = await promisify(pbkdf2)(password, salt, iterations, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', saltedPassword).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const serverKey = hmac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
