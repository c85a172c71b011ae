import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type BackupManifest,
  openBackupResult,
  openManifest,
  openVerifyResult,
  signManifest,
  type VerifyResult,
} from '#shared/domain/backup/manifest.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupKeys, BackupOrder, StoreAccess, VerifyOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { backUp } from './backup.ts';
import { sha256Of } from './manifest-bytes.ts';
import { dropTestDatabase, makeVerificationDatabase, type Tenant } from './tenant.fixture.ts';
import { verify } from './verify.ts';

const newKey = () => randomBytes(32).toString('base64');

/** A key of the platform's ring. */
export const ring = hmacSigner('k1', Buffer.alloc(32, 1));

export type OrderOptions = {
  store?: StoreAccess;
  attempt?: number;
  backupId?: string;
  keys?: BackupKeys;
  previous?: AcceptedBackup;
};

/** What a backup's Job is told. */
export function backupOrder(
  tenant: Pick<Tenant, 'instanceId' | 'access' | 'filestore'>,
  options: OrderOptions = {},
): BackupOrder {
  const { attempt = 1, backupId = randomUUID(), previous } = options;
  return {
    version: 1,
    task: 'backup',
    instanceId: tenant.instanceId,
    operationId: backupId,
    backupId,
    attempt,
    store: options.store ?? { kind: 'directory', folder: '/nowhere' },
    prefix: `backups/${tenant.instanceId}/${backupId}/${attempt}`,
    resultKey: newKey(),
    database: tenant.access,
    filestore: tenant.filestore,
    keys: options.keys ?? { dump: newKey(), files: previous?.order.keys.files ?? newKey() },
    facts: {
      kind: 'manual',
      customerId: 'c1',
      imageId: 'odoo-19',
      addonsDigest: 'none',
      previous: previous?.order.backupId ?? null,
    },
    previousManifest: previous?.manifest ?? null,
  };
}

/** A backup whose final manifest is in the store, as the platform's function leaves it. */
export type AcceptedBackup = { order: BackupOrder; manifest: { key: string; sha256: string }; content: BackupManifest };

/** Does what the function does after the Job: reads the result, signs the manifest, writes it. */
export async function accept(order: BackupOrder, store: ObjectStore): Promise<AcceptedBackup> {
  const bytes = await store.get(`${order.prefix}/manifest`);
  if (bytes === undefined) throw new Error('the worker wrote no result');
  const result = openBackupResult(bytes, order);
  const signed = signManifest(result, { dump: 'wrapped', files: 'wrapped' }, ring);
  const key = `backups/${order.instanceId}/${order.backupId}/manifest`;
  if ((await store.put(key, signed, { onlyIfNew: true })) === 'exists') throw new Error(`${key} was accepted before`);
  return { order, manifest: { key, sha256: sha256Of(signed) }, content: openManifest(signed, ring) };
}

/** Runs the task of the order in this process. */
export async function runBackup(
  order: BackupOrder,
  store: ObjectStore,
  signal = neverAborted(),
): Promise<AcceptedBackup> {
  await inFolder((folder) => backUp(order, { store, folder, signal, say: () => undefined }));
  return await accept(order, store);
}

/** What a verification's Job is told. */
export async function verifyOrder(backup: AcceptedBackup, changed: Partial<VerifyOrder> = {}): Promise<VerifyOrder> {
  const { order, manifest } = backup;
  const operationId = randomUUID();
  return {
    version: 1,
    task: 'verify',
    instanceId: order.instanceId,
    operationId,
    backupId: order.backupId,
    attempt: 1,
    store: order.store,
    prefix: `verifications/${order.instanceId}/${order.backupId}/${operationId}/1`,
    resultKey: newKey(),
    manifest,
    keys: order.keys,
    ...changed,
    database: changed.database ?? (await makeVerificationDatabase()),
  };
}

/** Verifies a backup in this process, into a database that goes away. What its result object says. */
export async function runVerify(
  backup: AcceptedBackup,
  store: ObjectStore,
  changed: Partial<VerifyOrder> = {},
): Promise<VerifyResult> {
  const order = await verifyOrder(backup, changed);
  try {
    await inFolder((folder) => verify(order, { store, folder, signal: neverAborted(), say: () => undefined }));
    const bytes = await store.get(`${order.prefix}/result`);
    return openVerifyResult(bytes ?? Buffer.alloc(0), order);
  } finally {
    // one that a test gave is the test's
    if (changed.database === undefined) await dropTestDatabase(order.database);
  }
}

export async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-worker-test-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
