import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { type BackupManifest, openManifest, signManifest, storedFileKey } from '#shared/domain/backup/manifest.ts';
import { hmacSigner, type Signer } from '#shared/domain/backup/manifest-seal.ts';
import { asFailure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { type AcceptedBackup, backupOrder, ring, runBackup, runVerify } from './backup.fixture.ts';
import { sha256Of } from './manifest-bytes.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

// Why all of it is restored and compared, and no program is believed that looks at a dump from outside:
// - `psql -v ON_ERROR_STOP=1` loads a plain dump that was cut in the middle of a COPY, and exits 0: tables are empty then.
// - `pg_restore --list` exits 0 on a custom-format dump that was cut, and on one with a flipped bit.

let folder: string;
let tenant: Tenant;
let other: Tenant;
let older: AcceptedBackup;
let backup: AcceptedBackup;
let foreign: AcceptedBackup;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-corruption-'));
  const store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder);
  other = await makeTenant(folder);
  older = await runBackup(backupOrder(tenant), store);
  await tenant.asSuperuser(async (client) => {
    await tenant.attach(client, 'since the older backup');
    // what does not compress: the dump then takes several chunks of its encryption
    await client.query('UPDATE ir_attachment SET db_datas = $1 WHERE db_datas IS NOT NULL', [randomBytes(900_000)]);
  });
  backup = await runBackup(backupOrder(tenant, { previous: older }), store);
  foreign = await runBackup(backupOrder(other), store);
});
afterAll(async () => {
  for (const one of [tenant, other]) await dropTestDatabase(one.access);
  await rm(folder, { recursive: true, force: true });
});

type Place = { store: ObjectStore; dump: string; files: readonly string[] };
/** Does the damage. What it gives is the backup as it is then recorded, where the damage was done before. */
type Fault = (place: Place) => Promise<AcceptedBackup | undefined | void>;

const replaced = async (store: ObjectStore, key: string, change: (bytes: Buffer) => Buffer) => {
  const bytes = await store.get(key);
  if (bytes === undefined) throw new Error(`no ${key}`);
  await store.put(key, change(bytes));
};
const flipped = (bytes: Buffer, at: number) => {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
};
const keyOf = (text: string) => Buffer.from(text, 'base64');

/** A manifest that says something else, as recorded by the platform. */
async function recorded(store: ObjectStore, changed: Partial<BackupManifest>, signer: Signer = ring) {
  const { wrappedKeys, ...content } = { ...backup.content, ...changed };
  const bytes = signManifest(content, wrappedKeys, signer);
  await store.put(backup.manifest.key, bytes);
  return { ...backup, manifest: { ...backup.manifest, sha256: sha256Of(bytes) }, content: { ...content, wrappedKeys } };
}

/** The dump was wrong already when it was encrypted, and everything about it was recorded so. */
async function dumpedWrong({ store, dump }: Place, change: (compressed: Buffer) => Buffer): Promise<AcceptedBackup> {
  const encrypted = encryptedStore(store, keyOf(backup.order.keys.dump));
  await replaced(encrypted, dump, change);
  const stored = (await store.get(dump)) ?? Buffer.alloc(0);
  const { content } = backup;
  return await recorded(store, {
    dump: { ...content.dump, sha256: sha256Of(stored), storedBytes: stored.length },
  });
}
const zstd = (args: string[], input: Buffer) => execFileSync('zstd', args, { input, maxBuffer: 1e8 });
const beforeZstd = (change: (plain: Buffer) => Buffer) => (compressed: Buffer) =>
  zstd(['-1', '-q', '-c'], change(zstd(['-d', '-q', '-c'], compressed)));

const faults: readonly [fault: string, Fault, words: RegExp][] = [
  ['dump cut in the middle', ({ store, dump }) => replaced(store, dump, (b) => b.subarray(0, b.length * 0.6)), /dump/],
  [
    'dump cut between two chunks (a part of a multipart upload lost)',
    ({ store, dump }) => replaced(store, dump, (b) => b.subarray(0, 56 + 2 * (256 * 1024 + 16))),
    /was cut off after 524288 bytes/,
  ],
  ['dump without its last byte', ({ store, dump }) => replaced(store, dump, (b) => b.subarray(0, -1)), /not what was/],
  ['dump with bytes behind its end', ({ store, dump }) => replaced(store, dump, (b) => Buffer.concat([b, b])), /wrong/],
  ['dump of zero bytes', ({ store, dump }) => replaced(store, dump, () => Buffer.alloc(0)), /is empty/],
  ['dump missing', ({ store, dump }) => store.remove(dump), /is missing/],
  ['a bit flipped in the dump', ({ store, dump }) => replaced(store, dump, (b) => flipped(b, 400_000)), /not what was/],
  [
    "a bit flipped in the dump's last tag",
    ({ store, dump }) => replaced(store, dump, (b) => flipped(b, b.length - 1)),
    /not/,
  ],
  [
    'wrong salt: every nonce and key another',
    ({ store, dump }) => replaced(store, dump, (b) => flipped(b, 30)),
    /not what/,
  ],
  ['wrong magic in the header', ({ store, dump }) => replaced(store, dump, (b) => flipped(b, 0)), /does not begin/],
  [
    "the older backup's dump in its place",
    async ({ store, dump }) => {
      const { content } = older;
      await store.put(dump, (await store.get(content.dump.key)) ?? Buffer.alloc(0));
    },
    /another key/,
  ],
  ['two chunks of the dump swapped', ({ store, dump }) => replaced(store, dump, swapChunks), /not what was written/],
  [
    'dump encrypted anew after the manifest was made',
    ({ store, dump }) => replaced(encryptedStore(store, keyOf(backup.order.keys.dump)), dump, (b) => b),
    /its sha256 differs/,
  ],
  ['compressed dump cut before it was encrypted', (p) => dumpedWrong(p, (b) => b.subarray(0, b.length - 100)), /zstd/],
  [
    'plain dump cut before it was compressed',
    (place) =>
      dumpedWrong(
        place,
        beforeZstd((plain) => plain.subarray(0, plain.length * 0.9)),
      ),
    /pg_restore/,
  ],
  [
    'one letter of a name changed before it was compressed',
    (place) =>
      dumpedWrong(
        place,
        beforeZstd((plain) => flipped(plain, plain.indexOf('Größe100') + 1)),
      ),
    /core table public.res_partner .* content differs/,
  ],
  [
    'dump of a database with nothing in it',
    (place) => dumpedWrong(place, () => zstd(['-c'], Buffer.alloc(0))),
    /cannot be/,
  ],
  ['file missing', ({ store, files }) => store.remove(files[0] ?? ''), /is missing/],
  ['file of zero bytes', ({ store, files }) => replaced(store, files[0] ?? '', () => Buffer.alloc(0)), /is empty/],
  [
    'a bit flipped in a file',
    ({ store, files }) => replaced(store, files[0] ?? '', (b) => flipped(b, 70)),
    /not what was/,
  ],
  ['file cut', ({ store, files }) => replaced(store, files[0] ?? '', (b) => b.subarray(0, -3)), /not what was/],
  [
    'two files swapped',
    async ({ store, files: [a = '', b = ''] }) => {
      const first = (await store.get(a)) ?? Buffer.alloc(0);
      await replaced(store, a, () => first);
      await store.put(a, (await store.get(b)) ?? Buffer.alloc(0));
      await store.put(b, first);
    },
    /written under another name/,
  ],
  [
    "another file's content, encrypted with the right key under this name",
    ({ store, files }) =>
      replaced(encryptedStore(store, keyOf(backup.order.keys.files)), files[0] ?? '', () => Buffer.from('x')),
    /another file than its name says/,
  ],
  [
    "another tenant's object of the same content",
    async ({ store, files }) => {
      const [name = ''] = foreign.content.files.objects[0] ?? [];
      await store.put(files[0] ?? '', (await store.get(storedFileKey(other.instanceId, name))) ?? Buffer.alloc(0));
    },
    /another key/,
  ],
  ['wrong key for the dump', async () => withKeys({ dump: randomBytes(32).toString('base64') }), /another key/],
  ['wrong key for the files', async () => withKeys({ files: randomBytes(32).toString('base64') }), /another key/],
  [
    'stale manifest: that of the older backup in its place',
    async ({ store }) =>
      void (await store.put(backup.manifest.key, (await store.get(older.manifest.key)) ?? Buffer.alloc(0))),
    /is not the one that was recorded/,
  ],
  [
    'stale manifest, recorded as if it were right',
    async ({ store }) => {
      await store.put(backup.manifest.key, (await store.get(older.manifest.key)) ?? Buffer.alloc(0));
      return { ...backup, manifest: { ...backup.manifest, sha256: older.manifest.sha256 } };
    },
    /is of another backup/,
  ],
  ['manifest missing', ({ store }) => store.remove(backup.manifest.key), /is missing/],
  [
    'manifest cut',
    ({ store }) => replaced(store, backup.manifest.key, (b) => b.subarray(0, -10)),
    /not a signed document/,
  ],
  [
    'manifest altered: a row fewer',
    ({ store }) =>
      replaced(store, backup.manifest.key, (b) => Buffer.from(b.toString().replace('"rows":500', '"rows":499'))),
    /was altered/,
  ],
  [
    'manifest signed with another key of the same name, recorded as if it were right',
    ({ store }) => recorded(store, {}, hmacSigner('k1', randomBytes(32))),
    /was not signed with the key/,
  ],
  [
    'a table lost rows, and nothing else is wrong',
    ({ store }) =>
      recorded(store, {
        contents: {
          ...backup.content.contents,
          tables: backup.content.contents.tables.map((one) => ({ ...one, rows: one.rows + 1 })),
        },
      }),
    /has 500 rows, the live database had 501/,
  ],
  [
    'the manifest names a file fewer than the attachments',
    ({ store }) => {
      const { files } = backup.content;
      return recorded(store, { files: { ...files, count: files.count - 1, objects: files.objects.slice(1) } });
    },
    /of attachment \d+ is not in the manifest/,
  ],
];

function withKeys(keys: Partial<AcceptedBackup['order']['keys']>): AcceptedBackup {
  return { ...backup, order: { ...backup.order, keys: { ...backup.order.keys, ...keys } } };
}

function swapChunks(bytes: Buffer): Buffer {
  const size = 256 * 1024 + 16;
  const chunk = (number: number) => bytes.subarray(56 + number * size, 56 + (number + 1) * size);
  return Buffer.concat([bytes.subarray(0, 56), chunk(1), chunk(0), bytes.subarray(56 + 2 * size)]);
}

/** All that is found: by the signature, as whoever orders a verification checks it first, and by the restore. */
async function findings(store: ObjectStore, recordedAs: AcceptedBackup): Promise<string[]> {
  const bytes = await store.get(recordedAs.manifest.key);
  const bySignature: string[] = [];
  try {
    if (bytes !== undefined) openManifest(bytes, ring);
  } catch (error) {
    bySignature.push(asFailure(error).message);
  }
  const result = await runVerify(recordedAs, store);
  return [...bySignature, ...result.differences];
}

describe('the corruption matrix', () => {
  const table: string[] = [];
  let number = 0;

  async function copied(): Promise<Place> {
    number += 1;
    const copy = join(folder, `copy-${number}`);
    await cp(join(folder, 'store'), copy, { recursive: true });
    const files = backup.content.files.objects.map(([name]) => storedFileKey(tenant.instanceId, name));
    return { store: openDirectoryStore(copy), dump: backup.content.dump.key, files };
  }

  afterAll(() => process.stdout.write(`\n${table.join('\n')}\n`));

  it('finds nothing where nothing is wrong', async () => {
    expect(await findings((await copied()).store, backup)).toEqual([]);
    table.push('| fault | detected by |', '|---|---|');
  });

  it.each(faults)('detects: %s', async (fault, damage, words) => {
    const place = await copied();
    const recordedAs = (await damage(place)) ?? backup;
    const found = await findings(place.store, recordedAs);
    table.push(
      `| ${fault} | ${(found.find((one) => words.test(one)) ?? found[0] ?? 'NOT DETECTED').replace(/\S{60,}/g, '…')} |`,
    );
    expect(found.join('\n')).toMatch(words);
  });
});
