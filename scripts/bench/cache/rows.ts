import { Redis } from 'ioredis';

/** A row as it is cached: about the size of an instance's. `version` counts its changes. */
export type CachedRow = { id: string; version: number } & Record<string, string | number>;

export function rowOf(id: string, version: number): CachedRow {
  return {
    id,
    version,
    customerId: `customer-${id}`,
    name: `shop-${id}`,
    host: `shop-${id}.example.com`,
    clusterId: 'default',
    desiredState: 'running',
    status: 'running',
    generation: version,
    observedGeneration: version,
    plan: 'standard',
    image: 'odoo-19',
    adminLogin: `owner@shop-${id}.example.com`,
    language: 'en_US',
    modules: 'account,contacts,crm,project,sale,stock,website',
  };
}

/** What stands for the database where two processes need one: keys beside the cache's. */
export function openSource(address: { host: string; port: number; password: string }) {
  const redis = new Redis(address);
  redis.on('error', () => undefined); // the command that meets it reports it
  return {
    async read(id: string): Promise<CachedRow> {
      return rowOf(id, Number((await redis.get(`source:${id}`)) ?? 0));
    },
    async write(id: string, version: number): Promise<void> {
      await redis.set(`source:${id}`, version);
    },
    close: () => redis.disconnect(),
  };
}

/** Milliseconds of a clock that all processes of this machine share and nobody sets. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
