import type { StoreAccess } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { openDirectoryStore } from './directory.ts';
import { openS3Store } from './s3.ts';
import { patientLimits } from './s3-client.ts';

/** The store that a Job's order names, with the patience of a Job. Nothing is asked of it before its first use. */
export function openObjectStore(access: StoreAccess): ObjectStore {
  if (access.kind === 'directory') return openDirectoryStore(access.folder, { isShared: true });
  const { accessKeyId, secretAccessKey, ...place } = access;
  return openS3Store({ ...place, credentials: async () => ({ accessKeyId, secretAccessKey }), limits: patientLimits });
}
