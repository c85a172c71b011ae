import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { archiveManifest } from '#shared/domain/odoo/archive-manifest.ts';
import { attachedFiles, readModules } from './contents.ts';
import { takeSnapshot } from './dump.ts';
import { type NamedFile, namedFiles, openFilestore } from './filestore.ts';
import { startProgram } from './pipeline.ts';
import { checkClientVersion, programEnvironment } from './postgres-programs.ts';
import { serverVersion, withSession } from './session.ts';
import { type ZipEntry, zipOf } from './zip-writer.ts';

export type PackOptions = {
  /** Odoo's folder for this database: with folders of two digits in it. */
  filestore: string;
  /** Empty, for a file with the password; removed by the caller. */
  folder: string;
  signal: AbortSignal;
  /** A file that an attachment names and the filestore has not, or has damaged: the archive is made without it. */
  onLost(text: string): void;
};

/**
 * Makes an archive of an Odoo database that runs somewhere else, as Odoo's own database manager does: from one snapshot,
 * while it is used. `write` is given its bytes and is waited for; nothing is changed in the database or its folder.
 */
export async function packArchive<Result>(
  access: DatabaseAccess,
  options: PackOptions,
  write: (bytes: AsyncIterable<Buffer>) => Promise<Result>,
): Promise<Result> {
  const { signal, folder } = options;
  return await withSession(access, signal, async (client) => {
    const postgres = await checkClientVersion('pg_dump', await serverVersion(client));
    const env = await programEnvironment(access, folder);
    const snapshot = await takeSnapshot(client);
    const about = archiveManifest({
      databaseName: access.database,
      ...(await readModules(client)),
      postgresMajor: postgres.major,
    });
    const files = namedFiles(await attachedFiles(client));
    async function* entries(): AsyncGenerator<ZipEntry> {
      yield { name: 'dump.sql', content: dumpOf(snapshot.name, { env, signal }), level: 6 };
      for (const file of files) {
        if (await isWhole(file, options)) {
          const content = openFilestore(options.filestore).read(file);
          yield { name: `filestore/${file.file}`, content, level: 1 };
        }
      }
      yield { name: 'manifest.json', content: oneOf(Buffer.from(JSON.stringify(about, null, 4))), level: 6 };
    }
    return await write(zipOf(entries(), new Date(snapshot.at)));
  });
}

async function* dumpOf(
  snapshot: string,
  { env, signal }: { env: Record<string, string>; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const args = ['--no-owner', '--no-acl', '--no-password', '--lock-wait-timeout=60s', `--snapshot=${snapshot}`];
  const { output, ended } = startProgram({ program: 'pg_dump', args, env }, { gives: 'output', signal });
  if (output === null) throw new Error('a program that was asked for a pipe has none');
  for await (const piece of output as AsyncIterable<Buffer>) yield piece;
  await ended;
}

/** Read once before it is put in: an archive that has begun with a file cannot leave it out any more. */
async function isWhole(file: NamedFile, { filestore, signal, onLost }: PackOptions): Promise<boolean> {
  try {
    for await (const _ of openFilestore(filestore).read(file)) signal.throwIfAborted();
    return true;
  } catch (error) {
    const { code, message } = asFailure(error);
    if (code !== 'not-found' && code !== 'damaged') throw error;
    onLost(message);
    return false;
  }
}

async function* oneOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
