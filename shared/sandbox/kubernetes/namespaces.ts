import { nameOf } from './objects.ts';
import type { Resource } from './resources.ts';
import { findKind } from './resources.ts';
import type { Change } from './store.ts';
import type { Api } from './writes.ts';
import { createObject } from './writes.ts';

/** Namespaces that are there from the start. */
const premade = ['default', 'odoo-tenants', 'odoo-fleet'];

const options = { manager: 'kube-controller-manager', isDryRun: false, validation: 'Strict' } as const;

/** Makes the first namespaces, and in every namespace the ServiceAccount `default` that pods run as. */
export async function ensureNamespaces(api: Api): Promise<void> {
  const { store } = api;
  const namespaces = required('v1', 'Namespace');
  store.subscribe((change) => addDefaultAccount(api, change));
  for (const name of premade) {
    if (store.get(namespaces, '', name)) continue;
    const target = { resource: namespaces, namespace: '', name: '', subresource: '' };
    createObject(api, target, { body: { metadata: { name } }, options });
  }
  await store.durable();
}

function addDefaultAccount(api: Api, { resource, previous, current }: Change): void {
  if (resource.kind !== 'Namespace' || previous || !current) return;
  const { store } = api;
  const accounts = required('v1', 'ServiceAccount');
  const namespace = nameOf(current);
  if (store.get(accounts, namespace, 'default') || !store.get(resource, '', namespace)) return;
  const target = { resource: accounts, namespace, name: '', subresource: '' };
  createObject(api, target, { body: { metadata: { name: 'default' } }, options });
}

function required(apiVersion: string, kind: string): Resource {
  const resource = findKind(apiVersion, kind);
  if (!resource) throw new Error(`${kind} of ${apiVersion} is not in the list of resources`);
  return resource;
}
