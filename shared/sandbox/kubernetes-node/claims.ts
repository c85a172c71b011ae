import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesClient } from '../kubernetes-client.ts';
import { startInformer } from '../kubernetes-informer.ts';
import { type PersistentVolumeClaim, persistentVolumeClaims } from './objects.ts';
import { writeStatus } from './status-writer.ts';
import { openWorkQueue } from './work-queue.ts';

/** Folders of PersistentVolumeClaims. A claim is bound as soon as it is seen; sizes are not enforced. */
export type Claims = {
  /** Counts a pod in. `undefined` while there is no such claim. */
  use(claimName: string): { folder: string; release(): Promise<void> } | undefined;
  stop(): Promise<void>;
};

export type ClaimsOptions = {
  client: KubernetesClient;
  namespace: string;
  folder: string;
  onError: (error: unknown) => void;
};

/**
 * A claim's data lives from the claim's creation to its deletion, also over restarts of the node. A deleted claim's
 * folder goes when the last pod that uses it has ended, as Kubernetes' pvc-protection has it.
 */
export async function startClaims({ client, namespace, folder, onError }: ClaimsOptions): Promise<Claims> {
  // 0711: pods of other users reach their own claim's folder but cannot list the others.
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const users = new Map<string, number>();
  const doomed = new Set<string>();
  const folderOf = ({ metadata }: PersistentVolumeClaim) => join(folder, `${metadata.name}.${metadata.uid}`);
  const find = (name: string) => informer.get(name);

  const queue = openWorkQueue(async (name) => {
    const claim = find(name);
    if (claim === undefined || claim.status?.phase === 'Bound') return;
    await mkdir(folderOf(claim), { recursive: true, mode: 0o770 });
    await writeStatus(client, persistentVolumeClaims, { object: claim, compute: boundStatus });
  }, onError);
  const removal = openWorkQueue(async (path) => {
    if ((users.get(path) ?? 0) > 0) return;
    await rm(path, { recursive: true, force: true });
    doomed.delete(path);
  }, onError);

  const informer = await startInformer(client, persistentVolumeClaims, {
    namespace,
    handler: {
      changed: (claim) => queue.add(claim.metadata.name),
      deleted(claim) {
        doomed.add(folderOf(claim));
        removal.add(folderOf(claim));
      },
      failed: onError,
    },
  });
  // Claims that were deleted while no node was there.
  const known = new Set(informer.list().map(folderOf));
  for (const name of await readdir(folder)) if (!known.has(join(folder, name))) removal.add(join(folder, name));

  return {
    use(claimName) {
      const claim = informer.get(claimName);
      if (claim === undefined || claim.status?.phase !== 'Bound') return undefined;
      const path = folderOf(claim);
      users.set(path, (users.get(path) ?? 0) + 1);
      return {
        folder: path,
        async release() {
          users.set(path, (users.get(path) ?? 1) - 1);
          if (doomed.has(path)) removal.add(path);
        },
      };
    },
    async stop() {
      await Promise.all([queue.stop(), removal.stop(), informer.stop()]);
    },
  };
}

function boundStatus({ spec }: PersistentVolumeClaim): NonNullable<PersistentVolumeClaim['status']> {
  const storage = spec.resources?.requests?.storage;
  return {
    phase: 'Bound',
    ...(spec.accessModes ? { accessModes: spec.accessModes } : {}),
    ...(storage ? { capacity: { storage } } : {}),
  };
}
