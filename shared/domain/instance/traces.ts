import type { DatabaseServer } from './instance.ts';

/** All that bears an instance's id on a database server: by whatever step, or whoever else, it was made. */
export type InstanceTraces = {
  list(
    server: DatabaseServer,
    instanceId: string,
  ): Promise<{ databases: readonly { name: string; bytes: number }[]; roles: readonly string[] }>;
};
