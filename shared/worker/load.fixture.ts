import { randomBytes, randomUUID } from 'node:crypto';
import { openExportResult } from '#shared/domain/backup/export-result.ts';
import { openLoadResult } from '#shared/domain/backup/load-result.ts';
import type { DatabaseAccess, ExportOrder, LoadOrder } from '#shared/domain/backup/order.ts';
import { asFailure, type Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { type AcceptedBackup, inFolder, neverAborted } from './backup.fixture.ts';
import { exportBackup } from './export.ts';
import { load } from './load.ts';

const newKey = () => randomBytes(32).toString('base64');

function placeOf(task: 'loads' | 'exports', { order }: AcceptedBackup) {
  const operationId = randomUUID();
  const { instanceId, store } = order;
  const prefix = `${task}/${instanceId}/${operationId}/1`;
  return { version: 1, instanceId, operationId, attempt: 1, store, prefix, resultKey: newKey() } as const;
}

/** What the Job of a restore is told: the backup goes into the database, its files into the folder. */
export function loadOrder(
  backup: AcceptedBackup,
  to: { database: DatabaseAccess; folder: string; linkFrom?: string },
): LoadOrder {
  const { instanceId, backupId, keys } = backup.order;
  return {
    ...placeOf('loads', backup),
    task: 'load',
    source: { kind: 'backup', instanceId, backupId, manifest: backup.manifest, keys },
    database: to.database,
    filestore: { folder: to.folder, linkFrom: to.linkFrom ?? null },
  };
}

/** What the Job of an export is told. */
export function exportOrder(backup: AcceptedBackup): ExportOrder {
  const { backupId, keys } = backup.order;
  const { manifest } = backup;
  const place = placeOf('exports', backup);
  return { ...place, task: 'export', backupId, manifest, keys, archiveKey: newKey(), databaseName: 'acme' };
}

/** Carries the order out in this process. What its result object says. */
export async function runLoad(order: LoadOrder, store: ObjectStore) {
  await inFolder((folder) => load(order, { store, folder, signal: neverAborted(), say: () => undefined }));
  return openLoadResult((await store.get(`${order.prefix}/result`)) ?? Buffer.alloc(0), order);
}

export async function runExport(order: ExportOrder, store: ObjectStore) {
  await inFolder((folder) => exportBackup(order, { store, folder, signal: neverAborted(), say: () => undefined }));
  return openExportResult((await store.get(`${order.prefix}/result`)) ?? Buffer.alloc(0), order);
}

/** @throws Error when the work succeeds. */
export async function failureOf(work: Promise<unknown>): Promise<Failure> {
  return asFailure(
    await work.then(
      () => new Error('it succeeded'),
      (caught: unknown) => caught,
    ),
  );
}
