import type { BackupRequested } from '#events/instance/backup.ts';
import type { ExportRequested } from '#events/instance/export.ts';
import type { RestoreRequested } from '#events/instance/restore.ts';
import type { VerifyRequested } from '#events/instance/verify.ts';
import { refuseExport } from '#shared/adapters/postgres/export-records.ts';
import { refuseRestore } from '#shared/adapters/postgres/restore-admission.ts';
import { refuseVerification } from '#shared/adapters/postgres/verification-admission.ts';
import type { RestoreSource } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { Particulars } from './instance-request.ts';

export const backupParticulars: Particulars<BackupRequested> = {
  variantOf: ({ kind }) => kind,
  isFinal: ({ kind }) => kind === 'final',
  async refuse(_transaction, { kind }, { customerId }) {
    if (customerId === null || kind === 'manual') return undefined;
    return new Failure('not-allowed', `Backups of kind ${kind} are the platform's own. Ask for a manual one.`);
  },
};

export const verifyParticulars: Particulars<VerifyRequested> = {
  variantOf: ({ backup }) => backup ?? null,
  refuse: (transaction, { instance, backup }) =>
    refuseVerification(transaction, { instanceId: instance, backupId: backup ?? null }),
};

export const restoreParticulars: Particulars<RestoreRequested> = {
  variantOf: ({ backup, undoes }) => undoes ?? backup ?? null,
  refuse(transaction, { instance, backup, undoes }) {
    // The schema has seen to it that it names one of them.
    const wanted: RestoreSource = undoes === undefined ? { backup: backup ?? '' } : { undoes };
    return refuseRestore(transaction, { instanceId: instance, source: wanted });
  },
};

export const exportParticulars: Particulars<ExportRequested> = {
  variantOf: ({ backup }) => backup ?? null,
  refuse: (transaction, { instance, backup }) =>
    refuseExport(transaction, { instanceId: instance, backupId: backup ?? null }),
};
