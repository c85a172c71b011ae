import type { ImportRequested } from '#events/instance/import.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { LoadSource } from '#shared/domain/backup/order.ts';
import { aboutKey, checkUploadKey, openUpload } from '#shared/domain/backup/upload.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

export type ImportSourcePorts = {
  store: Pick<ObjectStore, 'get'>;
  signer: Pick<Signer, 'isSigned'>;
  wrapper: Pick<KeyWrapper, 'unwrap'>;
};

/** Where a request says that its database comes from; parsed with the event. */
export function importedFrom({ operation }: InstanceContext): ImportRequested['from'] {
  return (operation.request as Pick<ImportRequested, 'from'>).from;
}

/** The uploaded archive with its key in the clear, for the Job that loads it. @throws Failure `not-found` when there is none. */
export async function zipSource(context: InstanceContext, key: string, ports: ImportSourcePorts): Promise<LoadSource> {
  const { instance } = context;
  checkUploadKey(key, instance.id);
  const about = await ports.store.get(aboutKey(key));
  if (about === undefined) {
    throw new Failure('not-found', `No archive ${key} was uploaded, or it was deleted. Upload it, then retry.`);
  }
  const { sha256, encryptionKey } = await openUpload(about, { key, instanceId: instance.id }, ports);
  const { odooVersion } = instance.image;
  const mostBytes = instance.plan.diskGib * 1024 ** 3;
  return { kind: 'odoo-zip', key, sha256, encryptionKey: encryptionKey.toString('base64'), odooVersion, mostBytes };
}
