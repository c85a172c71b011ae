import type { FinalBackups } from '#shared/domain/instance/ports.ts';

/** Stands in the place of backups until there are any: nothing is proven, and a purge has to be asked for without one. */
export const noFinalBackups: FinalBackups = {
  look: async () => ({ isProven: false, reason: 'This platform makes no backups yet: none is proven.' }),
};
