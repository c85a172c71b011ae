import { createHmac } from 'node:crypto';
import { Failure } from '../failure.ts';

/**
 * The name in the store of a file with this content: 64 hex digits. Equal files of an instance have one name, and nobody
 * without the instance's key can tell what a name stands for, or whether two instances have the same file.
 * @param sha1 of the content, 40 hex digits: Odoo's own name for it.
 */
export function storedFileName(filesKey: Uint8Array, sha1: string): string {
  if (!/^[0-9a-f]{40}$/.test(sha1))
    throw new Failure('internal', `A sha1 is 40 hex digits, not ${JSON.stringify(sha1)}.`);
  return createHmac('sha256', filesKey).update(`name:${sha1}`).digest('hex');
}
