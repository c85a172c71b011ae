import { objectAt, stringAt } from './json.ts';
import type { Store } from './store.ts';

/**
 * Cluster IPs come from loopback (127.97.0.0/16): Linux answers there without set-up,
 * so whoever plays the node can listen on a Service's own address and port.
 */
const network = '127.97';

/** The lowest free address. It is reserved by the Service that is stored with it. */
export function freeClusterIp(store: Store): string {
  const taken = new Set(
    store
      .all()
      .filter((it) => it.resource.kind === 'Service')
      .map((it) => stringAt(objectAt(it.object, 'spec'), 'clusterIP')),
  );
  for (let number = 1; number < 65_535; number += 1) {
    const address = `${network}.${number >> 8}.${number & 255}`;
    if (!taken.has(address)) return address;
  }
  throw new Error(`no free address in ${network}.0.0/16`);
}
