import { inject } from 'vitest';

/** The servers of one vitest run, started once by `global-setup.ts` for all integration tests. */
export type SharedServers = {
  /** A PostgreSQL; `superuser` may do everything. */
  postgres: { host: string; port: number; superuser: string; superuserPassword: string; logFile: string };
  /** In transaction mode in front of it, for `platform` only. */
  pgbouncer: { host: string; port: number };
  redis: { host: string; port: number; password: string };
  /** Who owns the test databases and what is in them, as in production no superuser. */
  platform: { user: string; password: string };
  /** A database with all migrations, from which `freshDatabase` clones. */
  template: string;
};

declare module 'vitest' {
  interface ProvidedContext {
    servers: SharedServers;
  }
}

/** @throws Error in a test that is not an integration test (`x.int.test.ts`). */
export function sharedServers(): SharedServers {
  const servers = inject('servers');
  if (servers === undefined) throw new Error('shared servers exist only for x.int.test.ts files');
  return servers;
}
