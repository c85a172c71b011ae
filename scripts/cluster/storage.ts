import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeName, type Places } from './places.ts';

/** How many claims can be bound at a time. Nothing provisions more: the volumes are folders that are there from the start. */
const volumeCount = 40;
const storageClass = 'fleet-local';

/** The default storage class and its volumes, each a folder of this machine. Sizes are words only. */
export async function storageObjects(places: Places): Promise<object[]> {
  const names = Array.from({ length: volumeCount }, (_, index) => `local-${index + 1}`);
  for (const name of names) await mkdir(folderOf(places, name), { recursive: true });
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: storageClass, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
    },
    ...names.map((name) => volume(name, folderOf(places, name))),
  ];
}

function folderOf({ state }: Places, name: string): string {
  return join(state, 'volumes', name);
}

function volume(name: string, path: string): object {
  const onThisNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      storageClassName: storageClass,
      capacity: { storage: '100Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      // Not `hostPath`, which is never given to the pod's group.
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onThisNode] }] } },
    },
  };
}
