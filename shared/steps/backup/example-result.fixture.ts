import { randomBytes } from 'node:crypto';
import { type BackupResult, storedFileName } from '#shared/domain/backup/manifest.ts';

const hex = (bytes: number) => randomBytes(bytes).toString('hex');

/** What the Job of a small backup of instance `abcdefgh2345` has found, its own objects below `place`. */
export function exampleResult(place: string, operationId: string): BackupResult {
  const now = '2027-01-31T10:00:00.000Z';
  const name = storedFileName(Buffer.alloc(32, 1), hex(20));
  return {
    ...{ version: 1, instanceId: 'abcdefgh2345', customerId: 'c-1', backupId: operationId, operationId, attempt: 1 },
    ...{ kind: 'manual', imageId: 'odoo-19', addonsDigest: 'none', previous: null, odooVersion: '19.0.1.3' },
    modules: [{ name: 'base', version: '19.0.1.3' }],
    postgres: { major: 15, server: '15.18', client: '15.18' },
    ...{ startedAt: now, snapshotAt: now, finishedAt: now },
    contents: {
      tables: [
        { name: 'public.res_partner', rows: 5 },
        { name: 'public.res_users', rows: 2 },
      ],
      hashes: [],
      attachments: { count: 1, inFiles: 1, files: 1, hash: '0' },
      largeObjects: { count: 0, hash: '0' },
      schema: { indexes: 0, constraints: 0, sequences: 0, views: 0, functions: 0, triggers: 0 },
      extensions: [],
    },
    dump: {
      key: `${place}/dump`,
      format: 'pg_dump-custom+zstd',
      ...{ storedBytes: 100, sha256: hex(32), compressedBytes: 90, databaseBytes: 8_000 },
    },
    files: {
      ...{ count: 1, bytes: 9, storedBytes: 12, uploaded: { count: 1, bytes: 9 }, contents: hex(32) },
      objects: [[name, 12, hex(32)]],
    },
  };
}
