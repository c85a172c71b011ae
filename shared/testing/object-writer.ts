import type { ObjectStore } from '#shared/domain/objects/ports.ts';

/** What `writeForEver` writes as its object of that number. */
export function writtenObject(number: number): Buffer {
  return Buffer.alloc(512 * 1024, number % 256);
}

/** Writes objects until the process is killed, and says each one's key on standard output once it is written. */
export async function writeForEver(store: ObjectStore): Promise<never> {
  for (let number = 0; ; number += 1) {
    const key = `written/${String(number).padStart(6, '0')}`;
    await store.put(key, writtenObject(number), { onlyIfNew: number % 2 === 0 });
    process.stdout.write(`${key}\n`);
  }
}
