import { readFileSync, statSync } from 'node:fs';
import { type KeyRing, parseKeyRing } from '#shared/domain/backup/key-ring.ts';
import { Failure } from '#shared/domain/failure.ts';
import { knownSecrets } from './known-secrets.ts';

/**
 * The key ring in the file that a setting names. It is read at the first use and again when it changed, so that a rotated
 * Secret needs no restart; a file that is wrong then makes every use fail until it is mended.
 */
export function keyRingFile(setting: string, path: string | undefined): () => KeyRing {
  let known: { version: string; ring: KeyRing } | undefined;
  return () => {
    if (path === undefined) {
      throw new Failure('misconfigured', `${setting} is not set: write the path of the file with the key ring.`);
    }
    const version = reading(setting, path, () => {
      const { mtimeMs, ino, size } = statSync(path);
      return `${mtimeMs} ${ino} ${size}`;
    });
    if (known?.version !== version) known = { version, ring: readRing(setting, path) };
    return known.ring;
  };
}

function readRing(setting: string, path: string): KeyRing {
  const ring = parseKeyRing(reading(setting, path, () => readFileSync(path, 'utf8')));
  for (const key of ring.keys.values()) knownSecrets.add(key.toString('base64'));
  return ring;
}

function reading<Result>(setting: string, path: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Failure('misconfigured', `${setting} names ${path}, which cannot be read (${code}).`, { cause });
  }
}
