import { randomInt } from 'node:crypto';

/**
 * Loopback addresses for pods. On Linux a process can bind to any of 127.0.0.0/8 without configuration, so each pod
 * has all ports for itself as long as its program binds to `status.podIP` and not to 0.0.0.0.
 */
export type PodAddresses = { take(): string; release(address: string): void };

/**
 * 127.0.0.0/16 is left to the machine's own servers. Addresses are drawn at random, because other fleets on this machine
 * draw from the same range: with 1,000 pods about, the chance of a clash is 1 in 16,000 per pod.
 */
export function openPodAddresses(random: (limit: number) => number = randomInt): PodAddresses {
  const taken = new Set<string>();
  return {
    take() {
      for (;;) {
        const address = `127.${1 + random(254)}.${random(256)}.${1 + random(254)}`;
        if (taken.has(address)) continue;
        taken.add(address);
        return address;
      }
    },
    release: (address) => void taken.delete(address),
  };
}
