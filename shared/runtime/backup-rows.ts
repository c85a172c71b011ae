import { defineConfig, httpUrl, integer, row, text, type ValueReader } from './config.ts';

// The rows of backups and of all that is made of them. A function takes those it needs, as those of `rows.ts`.

const path = text({ wanted: 'a path' });

const storePlace: ValueReader<string> = {
  wanted: 'the absolute path of a folder, or s3://bucket',
  read: (text) => (/^(\/.*|s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$/.test(text) ? text : undefined),
};

/** Where backups are kept. Without BACKUP_STORE there are none. */
const backupPlace = {
  backupStore: row(
    'BACKUP_STORE',
    storePlace,
    undefined,
    'Where backups are kept: a folder that functions and workers share, or a bucket. Without it no backups are made.',
  ),
  backupS3Endpoint: row(
    'BACKUP_S3_ENDPOINT',
    httpUrl,
    undefined,
    'The S3 service of the bucket; without it the one of AWS in the region.',
  ),
  backupS3Region: row('BACKUP_S3_REGION', text(), 'us-east-1', "The bucket's region."),
};

/** What certificates and manifests are signed with. */
export const keyRing = defineConfig({
  backupKeysFile: row(
    'BACKUP_KEYS_FILE',
    path,
    undefined,
    'File with the keys that wrap the keys of backups and sign manifests and certificates: {"current":"k1","keys":{"k1":"<base64 of 32 bytes>"}}. Read again when it changes.',
  ),
});

/** Making and reading backups. */
export const backups = defineConfig({
  ...backupPlace,
  backupS3CredentialsFile: row(
    'BACKUP_S3_CREDENTIALS_FILE',
    path,
    undefined,
    'File with {"accessKeyId":"...","secretAccessKey":"..."} of one who may read and write in the bucket, and not delete.',
  ),
  ...keyRing,
  workerImage: row('WORKER_IMAGE', text(), undefined, 'Image of the Jobs that dump, upload and verify.'),
});

/** Exports for customers. */
export const exporting = defineConfig({
  exportHours: row('EXPORT_HOURS', integer(1, 720), 24, 'How long an export can be downloaded; then it is deleted.'),
});

/** For whoever gives customers their links. */
export const linking = defineConfig({
  downloadUrl: row(
    'DOWNLOAD_URL',
    httpUrl,
    undefined,
    'Where customers reach the function download: links to exports begin with it.',
  ),
});

/** How far verifications go. */
export const verifying = defineConfig({
  verifyBootPercent: row(
    'VERIFY_BOOT_PERCENT',
    integer(0, 100),
    25,
    'On so many of a hundred verified backups Odoo is started, too, and asked. On final ones it always is.',
  ),
});

/** Deleting backups: another identity's right. */
export const backupRemover = defineConfig({
  ...backupPlace,
  backupRemoverCredentialsFile: row(
    'BACKUP_REMOVER_CREDENTIALS_FILE',
    path,
    undefined,
    'As BACKUP_S3_CREDENTIALS_FILE, of one who may list and delete in the bucket.',
  ),
});
