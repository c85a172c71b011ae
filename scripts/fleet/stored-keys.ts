import * as v from 'valibot';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { platformBackupsIn, platformKeys, platformPrefix } from '#shared/domain/platform/backup.ts';

/** How much of the store still needs one key of the ring. */
export type StoredUse = {
  keyId: string;
  /** Archives that were uploaded for an import. They are deleted after a week. */
  uploads: number;
  /** Backups of the platform that it signed or whose key it wraps, or that hold what it wraps. They go with their retention. */
  platformBackups: number;
};

const wrapped = v.pipe(
  v.string(),
  v.regex(/^w1\./),
  v.transform((text) => text.split('.')[1] ?? ''),
);
/** Who signed is not looked at: the ring may lack the very key that is asked about. */
const document = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    keyId: v.string(),
    body: v.object({ wrappedKey: wrapped, ringKeys: v.optional(v.array(v.string()), []) }),
  }),
);

async function keysUnder(store: Pick<ObjectStore, 'list'>, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list({ prefix, after });
    keys.push(...page.keys);
    after = page.next;
  } while (after !== undefined);
  return keys;
}

/** Which keys of the ring the uploads and the platform's backups in the store name; `unread`: those that cannot be read. */
export async function storedKeyUses(
  store: Pick<ObjectStore, 'list' | 'get'>,
): Promise<{ uses: StoredUse[]; unread: string[] }> {
  const uses = new Map<string, StoredUse>();
  const unread: string[] = [];
  const count = async (key: string, use: 'uploads' | 'platformBackups') => {
    const bytes = await store.get(key);
    // deleted since
    if (bytes === undefined) return;
    const read = v.safeParse(document, Buffer.from(bytes).toString());
    if (!read.success) return void unread.push(key);
    const { keyId, body } = read.output;
    for (const id of new Set([keyId, body.wrappedKey, ...body.ringKeys])) {
      const found = uses.get(id) ?? { keyId: id, uploads: 0, platformBackups: 0 };
      uses.set(id, { ...found, [use]: found[use] + 1 });
    }
  };
  const uploads = (await keysUnder(store, 'imports/')).filter((key) => key.endsWith('.about'));
  for (const key of uploads) await count(key, 'uploads');
  const backups = platformBackupsIn(await keysUnder(store, platformPrefix)).filter(({ isWhole }) => isWhole);
  for (const { id } of backups) await count(platformKeys(id).manifest, 'platformBackups');
  return { uses: [...uses.values()], unread };
}
