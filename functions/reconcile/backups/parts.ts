import type { OdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import type { WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import { workerImageOf } from '#shared/runtime/backup-parts.ts';
import type { backupRemover, backups } from '#shared/runtime/backup-rows.ts';
import { backupStoreAccess, openBackupRemover, openBackupStore } from '#shared/runtime/backup-store.ts';
import type { Config } from '#shared/runtime/config.ts';
import type { Platform } from '#shared/runtime/platform.ts';
import type { reconciling } from '#shared/runtime/rows.ts';
import { makeExportRemoval } from './exports.ts';
import { makeJobObjectRemoval } from './job-objects.ts';
import { makeOldSideRemoval } from './old-sides.ts';
import { makePlatformRetention } from './platform.ts';
import { makePlatformAge } from './platform-age.ts';
import { makeBackupRemoval } from './remove.ts';
import { makeBackupSchedule } from './schedule.ts';
import { makeBackupSweep } from './sweep.ts';

/**
 * What the tick does about backups: asks for those that are due, sweeps what lost ones have left, removes what retention
 * gives up. Nothing at all without a place to keep them (BACKUP_STORE).
 */
export function backupTickParts(
  platform: Pick<Platform, 'database' | 'holder' | 'eventSource' | 'log'>,
  config: Config<typeof backups & typeof backupRemover> & Pick<Config<typeof reconciling>, 'backupSchedule'>,
  ports: {
    jobs: WorkerJobs;
    verifications: OdooServers['verifications'];
    loads: OdooServers['loads'];
    sides: OdooServers['sides'];
    cluster: Pick<TenantCluster, 'countPods'>;
    showPlatformBackup: (at: Date | undefined) => void;
    onTrouble: (what: string, error: unknown) => void;
  },
): readonly { name: string; run: () => Promise<unknown> }[] {
  if (config.backupStore === undefined) return [];
  const { database, holder, eventSource, log } = platform;
  const { jobs, verifications, loads, sides, cluster, showPlatformBackup: show, onTrouble } = ports;
  const schedule = makeBackupSchedule({ database, eventSource, holder });
  const sweep = makeBackupSweep({ database, holder, jobs, verifications, loads, onTrouble });
  const dropOldSides = makeOldSideRemoval({
    ...{ database, holder, sides, cluster, onTrouble, workers: jobs },
    storeAccess: () => backupStoreAccess(config),
    workerImage: () => workerImageOf(config),
  });
  const reader = openBackupStore(config);
  const removal = { database, holder, reader, remover: openBackupRemover(config), onTrouble };
  const platformRetention = makePlatformRetention({ database, holder, remover: openBackupRemover(config) });
  const remove = makeBackupRemoval(removal);
  const removeExports = makeExportRemoval(removal);
  const removeJobObjects = makeJobObjectRemoval(removal);
  return [
    ...(config.backupSchedule === 'on' ? [{ name: 'backup schedule', run: schedule }] : []),
    { name: 'backup sweep', run: sweep },
    { name: 'old sides of restores', run: dropOldSides },
    {
      name: 'backups of the platform',
      async run() {
        const removed = await platformRetention();
        if (removed > 0) log.info({ removed }, 'backups of the platform were removed');
      },
    },
    { name: 'age of the backups of the platform', run: makePlatformAge({ store: reader, show }) },
    {
      name: 'backup removal',
      async run() {
        const report = await remove();
        if (Object.values(report).some((count) => count > 0)) log.info({ report }, 'backups were tidied');
      },
    },
    {
      name: 'export removal',
      async run() {
        const report = await removeExports();
        if (Object.values(report).some((count) => count > 0)) log.info({ report }, 'exports were tidied');
      },
    },
    {
      name: 'objects of Jobs',
      async run() {
        const { removed } = await removeJobObjects();
        if (removed > 0) log.info({ removed }, 'what Jobs of operations that are over had written was removed');
      },
    },
  ];
}
