import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Backup } from './backup.ts';
import {
  type DeletionFacts,
  deletionCertificate,
  type KeptCertificate,
  keepCertificate,
  openCertificate,
  type Trace,
} from './deletion-certificate.ts';
import { hmacSigner } from './manifest-seal.ts';

const now = new Date('2027-01-10T12:00:00.000Z');
const inDays = (days: number) => new Date(now.getTime() + days * 86_400_000);

function backup(id: string, change: Partial<Backup> = {}): Backup {
  return {
    ...{
      id,
      instanceId: 'abcdefgh2345',
      customerId: 'c-1',
      kind: 'final',
      state: 'succeeded',
      round: 1,
      serverId: 'one',
    },
    ...{ dumpKey: 'wrapped', startedAt: inDays(-1), finishedAt: inDays(-1), snapshotAt: inDays(-1) },
    manifest: { key: `backups/x/${id}/manifest`, sha256: 'ab'.repeat(32) },
    sizes: { dumpBytes: 10, filesBytes: 20, filesCount: 2, uploadedBytes: 20 },
    proof: { state: 'proven', at: inDays(-0.5), by: 'verification', text: null, odooBooted: true },
    ...{
      summary: {},
      previousId: null,
      error: null,
      keepUntil: null,
      lockedUntil: null,
      deletedAt: null,
      deleteReason: null,
    },
    ...change,
  };
}

const database: Trace = { kind: 'database', name: 'tombstone_abcdefgh2345', where: 'one', bytes: 1_000 };
const role: Trace = { kind: 'role', name: 'odoo_abcdefgh2345', where: 'one', bytes: null };

function facts(change: Partial<DeletionFacts> = {}): DeletionFacts {
  return {
    operation: { id: 'op', instanceId: 'abcdefgh2345', requestedBy: 'urn:a', cause: 'e-1', withoutBackup: false },
    ...{ customerId: 'c-1', terminatedAt: inDays(-40), beganAt: inDays(0), now },
    found: [role, database],
    backups: [backup('last')],
    ...{ exports: [], importedAt: null, loadedAt: null, lockMs: null, liveCopies: [] },
    ...change,
  };
}

describe('a deletion certificate', () => {
  test('tells what was removed once, though a purge that was tried again has found less', () => {
    const { removed } = deletionCertificate(facts({ found: [role, database, { ...database, bytes: 7 }, role] }));
    expect(removed).toEqual([database, role]);
  });

  test('names the newest final backup that was proven, and no other', () => {
    const backups = [
      backup('older', { snapshotAt: inDays(-9) }),
      backup('last'),
      backup('refuted', { snapshotAt: now, proof: { ...backup('x').proof, state: 'refuted' } }),
      backup('scheduled', { kind: 'scheduled', snapshotAt: now }),
      backup('deleted', { state: 'deleted', snapshotAt: now }),
    ];
    const certificate = deletionCertificate(facts({ backups }));
    expect(certificate.finalBackup).toBe('last');
    expect(certificate.backups.map(({ id }) => id)).toEqual(['older', 'last', 'refuted', 'scheduled']);
    expect(deletionCertificate(facts({ backups: [] }))).toMatchObject({ finalBackup: null, copiesUntil: null });
  });

  test('says until when copies are in the store: as retention keeps them, or longer where they are locked', () => {
    const copies = (backups: Backup[]) => {
      const certificate = deletionCertificate(facts({ backups }));
      return [certificate.backups[0]?.keptUntil, certificate.backups[0]?.lockedUntil, certificate.copiesUntil];
    };
    const [d90, d100, d200] = [inDays(90), inDays(100), inDays(200)].map((at) => at.toISOString());
    expect(copies([backup('a')])).toEqual([d90, null, d90]);
    expect(copies([backup('a', { lockedUntil: inDays(200) })])).toEqual([d90, d200, d200]);
    expect(copies([backup('a', { lockedUntil: inDays(-1), keepUntil: inDays(100) })])).toEqual([d100, null, d100]);
    expect(copies([backup('a', { kind: 'manual' })])).toEqual([null, null, now.toISOString()]);
    expect(copies([backup('a', { kind: 'manual', lockedUntil: inDays(200) })])).toEqual([null, d200, d200]);
    const failed = { state: 'failed', kind: 'manual' } as const;
    expect(copies([backup('a', failed)])[0]).toBe(inDays(2).toISOString());
  });
});

describe('copies that are no backups', () => {
  const none = { backups: [] };
  const dayMs = 86_400_000;
  const today = now.toISOString();

  test('exports are told, and are gone at the next turn', () => {
    const exported = deletionCertificate(facts({ ...none, exports: [{ id: 'e', state: 'deleting' }] }));
    expect(exported).toMatchObject({ exports: [{ id: 'e', state: 'deleting' }], copiesUntil: today });
  });

  test.each([
    ['an archive it was imported from', 'importedAt', 'uploadsUntil', 7],
    ['what Jobs of its restores wrote', 'loadedAt', 'jobResultsUntil', 2],
  ] as const)('%s goes at the next turn, or when the lock of the store ends', (_what, at, until, days) => {
    const told = (change: Partial<DeletionFacts>) => {
      const certificate = deletionCertificate(facts({ ...none, ...change }));
      return [certificate[until], certificate.copiesUntil];
    };
    expect(told({})).toEqual([null, null]);
    expect(told({ [at]: inDays(0.1 - days) })).toEqual([today, today]);
    expect(told({ [at]: inDays(-0.1 - days) })).toEqual([null, null]);
    const locked = inDays(20).toISOString();
    expect(told({ [at]: inDays(-10), lockMs: 30 * dayMs })).toEqual([locked, locked]);
    expect(told({ [at]: inDays(-40), lockMs: 30 * dayMs })).toEqual([null, null]);
  });

  test('instances that were made from it are named', () => {
    const liveCopies = [{ instance: 'zyxwvuts5432', host: 'try.example.com' }];
    expect(deletionCertificate(facts({ liveCopies }))).toMatchObject({ liveCopies });
  });
});

describe('a kept certificate', () => {
  const signer = hmacSigner('k1', randomBytes(32));
  const certificate = deletionCertificate(facts());
  /** As a database gives it back: with its keys in another order. */
  const stored = (kept: KeptCertificate) =>
    JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(kept).toReversed()))) as KeptCertificate;

  test('is read back, and its signature is looked at where there is a key ring', () => {
    const { kept, sha256 } = keepCertificate(certificate, signer);
    const right = { certificate, sha256, signature: 'right', keyId: 'k1' };
    expect(openCertificate(stored(kept), signer)).toEqual(right);
    expect(openCertificate(stored(kept), undefined)).toEqual({ ...right, signature: 'unchecked' });
  });

  test('that was altered, or signed with another key, is refused', () => {
    const { kept } = keepCertificate(certificate, signer);
    const altered = { ...kept, body: { ...certificate, removed: [] } };
    expect(() => openCertificate(altered, signer)).toThrow('was altered');
    expect(() => openCertificate(kept, hmacSigner('k1', randomBytes(32)))).toThrow('was not signed');
  });

  test('without a key ring says of itself that nobody signed it', () => {
    const { kept, sha256 } = keepCertificate(certificate, undefined);
    expect(openCertificate(kept, signer)).toEqual({ certificate, sha256, signature: 'unsigned', keyId: null });
  });
});
