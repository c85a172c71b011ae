import { pipeline as pump } from 'node:stream/promises';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import {
  openPlatformManifest,
  type PlatformManifest,
  platformBackupsIn,
  platformKeyContext,
  platformKeys,
  platformPrefix,
  type StoredPlatformBackup,
} from '#shared/domain/platform/backup.ts';
import { startPipeline } from '../pipeline.ts';
import { type OpenedObject, openStoredObject } from '../stored-object.ts';
import type { PlatformKeys } from './make.ts';

/** All that lie in the store, oldest first. */
export async function listPlatformBackups(store: Pick<ObjectStore, 'list'>): Promise<StoredPlatformBackup[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list({ prefix: platformPrefix, after });
    keys.push(...page.keys);
    after = page.next;
  } while (after !== undefined);
  return platformBackupsIn(keys);
}

/** The newest that has a manifest. @throws Failure `not-found`. */
export async function newestPlatformBackup(store: Pick<ObjectStore, 'list'>): Promise<string> {
  const newest = (await listPlatformBackups(store)).findLast(({ isWhole }) => isWhole);
  if (newest === undefined) throw new Failure('not-found', 'The store holds no backup of the platform.');
  return newest.id;
}

/** @throws Failure `not-found`, or `damaged` when no key of the ring has signed it. */
export async function readPlatformManifest(
  store: Pick<ObjectStore, 'get'>,
  id: string,
  { signer }: Pick<PlatformKeys, 'signer'>,
): Promise<PlatformManifest> {
  const bytes = await store.get(platformKeys(id).manifest);
  if (bytes === undefined) throw new Failure('not-found', `The store holds no backup ${id} of the platform.`);
  return openPlatformManifest(bytes, { id, signer });
}

async function openDump(
  store: Pick<ObjectStore, 'read'>,
  manifest: PlatformManifest,
  { wrapper }: Pick<PlatformKeys, 'wrapper'>,
): Promise<OpenedObject> {
  const key = await wrapper.unwrap(manifest.wrappedKey, platformKeyContext(manifest.id));
  const opened = await openStoredObject(store as ObjectStore, manifest.dump.key, key);
  if (opened === undefined) throw new Failure('damaged', `The dump of platform backup ${manifest.id} is missing.`);
  return opened;
}

function refuseOther(opened: OpenedObject, { id, dump }: PlatformManifest): void {
  const stored = opened.stored();
  if (stored.sha256 === dump.sha256 && stored.size === dump.storedBytes) return;
  throw new Failure('damaged', `The dump of platform backup ${id} is not the one its manifest was made for.`);
}

/**
 * Decrypts all of the dump, decompresses it and lets pg_restore read it to its end, without a database.
 * @throws Failure `damaged` or `misconfigured` (a key that the ring does not have).
 */
export async function readPlatformDump(
  store: Pick<ObjectStore, 'read'>,
  manifest: PlatformManifest,
  { keys, signal }: { keys: Pick<PlatformKeys, 'wrapper'>; signal: AbortSignal },
): Promise<void> {
  const opened = await openDump(store, manifest, keys);
  await feed(opened, { signal, args: ['--no-owner', '--no-acl', '--file=/dev/null'], environment: {} });
  refuseOther(opened, manifest);
}

/**
 * Restores the dump into an empty database, in one transaction.
 * @throws Failure; the database is then as empty as before, except when the dump turned out to be another one after it was
 * restored (`damaged`): it is to be dropped.
 */
export async function restorePlatformDump(
  store: Pick<ObjectStore, 'read'>,
  manifest: PlatformManifest,
  options: {
    keys: Pick<PlatformKeys, 'wrapper'>;
    access: Pick<DatabaseAccess, 'database'>;
    environment: Record<string, string>;
    signal: AbortSignal;
  },
): Promise<void> {
  const { environment, access, signal } = options;
  const opened = await openDump(store, manifest, options.keys);
  const into = [
    '--no-owner',
    '--no-acl',
    '--no-password',
    '--exit-on-error',
    '--single-transaction',
    `--dbname=${access.database}`,
  ];
  await feed(opened, { signal, args: into, environment });
  refuseOther(opened, manifest);
}

/** What was read wrongly is told before what the programs, which only suffer from it, say. */
async function feed(
  opened: OpenedObject,
  options: { signal: AbortSignal; args: readonly string[]; environment: Record<string, string> },
): Promise<void> {
  const cut = new AbortController();
  const signal = AbortSignal.any([options.signal, cut.signal]);
  const pipeline = startPipeline(
    [
      { program: 'zstd', args: ['--decompress', '--quiet', '--stdout'] },
      { program: 'pg_restore', args: options.args, env: options.environment },
    ],
    { gives: 'input', signal },
  );
  if (pipeline.input === null) throw new Error('the pipeline has no input');
  let readFailure: Failure | undefined;
  async function* content(): AsyncGenerator<Buffer> {
    try {
      yield* opened.content;
    } catch (error) {
      readFailure = asFailure(error);
      // the end of its input would be an end as any other: the programs must not take it for the dump's
      cut.abort(readFailure);
      throw error;
    }
  }
  // when the programs leave it, they say why
  await pump(content, pipeline.input, { signal }).catch(() => undefined);
  const failure = await pipeline.ended.then(
    () => undefined,
    (error: unknown) => asFailure(error),
  );
  options.signal.throwIfAborted();
  if (readFailure !== undefined) throw readFailure;
  if (failure !== undefined) throw failure;
}
