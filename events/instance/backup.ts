import * as v from 'valibot';
import type { InferData } from '#events/envelope.ts';
import { defineEvent } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { operationEvents, requestEntries, succeededEventWith } from './operation-events.ts';

export const {
  requested: backupRequested,
  accepted: backupAccepted,
  failed: backupFailed,
} = operationEvents('backup', {
  request: {
    wants: 'a backup of an instance, which goes on running',
    direction: 'both',
    schema: v.strictObject({
      ...requestEntries,
      /**
       * What it is for; `manual` unless stated, and the only one a source that speaks for one customer may ask for.
       * `final`: of a terminated instance, before its data is purged.
       */
      kind: v.optional(
        v.picklist(['manual', 'scheduled', 'before-upgrade', 'before-restore', 'final'], 'must be a kind of backup'),
        'manual',
      ),
    }),
    example: { instance: 'k3n5q2x7a4bc', idempotencykey: 'order-7731', reason: 'Before the import', kind: 'manual' },
  },
  exampleRefusal: {
    code: 'terminated',
    text: 'Instance k3n5q2x7a4bc is terminated: only its final backup can be made, of kind "final".',
  },
});

export const backupSucceeded = defineEvent(
  succeededEventWith('backup', {
    summary: 'A backup is complete: its manifest is written and was read back.',
    entries: {
      /** Id of the backup, to name it by in a verification or a restore. */
      backup: fields.operationId,
      /** What it was made for. */
      purpose: fields.word,
      /** Its size in the store: of the dump, and of all files it names. */
      dumpbytes: fields.count,
      filesbytes: fields.count,
      files: fields.count,
      /** Bytes of files that earlier backups had not stored already. */
      uploadedbytes: fields.count,
      /** The moment whose state of the data it holds. */
      snapshotat: fields.instant,
    },
    example: {
      backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
      purpose: 'manual',
      dumpbytes: 48_231_044,
      filesbytes: 120_442_118,
      files: 1_204,
      uploadedbytes: 2_114_880,
      snapshotat: '2027-01-31T10:00:00Z',
    },
  }),
);
export type BackupRequested = InferData<typeof backupRequested>;
