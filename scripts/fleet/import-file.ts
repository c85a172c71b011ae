import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Failure } from '#shared/domain/failure.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import type { backups } from '#shared/runtime/backup-rows.ts';
import { openBackupStore } from '#shared/runtime/backup-store.ts';
import type { Config } from '#shared/runtime/config.ts';
import { uploadArchive } from '#shared/runtime/upload-archive.ts';
import { type Screen, sizeOf } from './screen.ts';

/**
 * Puts a zip of Odoo's database manager into the object store, encrypted, for the import as this new instance.
 * @returns the key that the request names. @throws Failure `misconfigured` when there is no such file.
 */
export async function uploadFile(
  file: string,
  { instanceId, config, screen }: { instanceId: string; config: Config<typeof backups>; screen: Screen },
): Promise<string> {
  const found = await stat(file).catch(() => undefined); // whatever is wrong with it, it cannot be read
  if (!found?.isFile()) throw new Failure('misconfigured', `There is no file ${file} that can be read.`);
  const name = basename(file).replaceAll(/[^A-Za-z0-9_.-]/g, '_');
  async function* counted(): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 1_048_576 }) as AsyncIterable<Uint8Array>) {
      yield chunk;
      sent += chunk.length;
      screen.progress?.(`upload: ${sizeOf(sent)} of ${sizeOf(found?.size)}`);
    }
  }
  const archive = { instanceId, name: /^[A-Za-z0-9]/.test(name) ? name : `archive${name}`, bytes: counted() };
  const { key } = await uploadArchive(openBackupStore(config), archive, openBackupKeys(config));
  screen.progress?.(undefined);
  return key;
}
