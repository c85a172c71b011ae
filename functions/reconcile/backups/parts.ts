import type { OdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import type { WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import { openBackupRemover, openBackupStore } from '#shared/runtime/backup-store.ts';
import type { Config } from '#shared/runtime/config.ts';
import type { Platform } from '#shared/runtime/platform.ts';
import type { backupRemover, backups, reconciling } from '#shared/runtime/rows.ts';
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
    onTrouble: (what: string, error: unknown) => void;
  },
): readonly { name: string; run: () => Promise<unknown> }[] {
  if (config.backupStore === undefined) return [];
  const { database, holder, eventSource, log } = platform;
  const { jobs, verifications, onTrouble } = ports;
  const schedule = makeBackupSchedule({ database, eventSource, holder });
  const sweep = makeBackupSweep({ database, holder, jobs, verifications, onTrouble });
  const reader = openBackupStore(config);
  const remove = makeBackupRemoval({ database, holder, reader, remover: openBackupRemover(config), onTrouble });
  return [
    ...(config.backupSchedule === 'on' ? [{ name: 'backup schedule', run: schedule }] : []),
    { name: 'backup sweep', run: sweep },
    {
      name: 'backup removal',
      async run() {
        const report = await remove();
        if (Object.values(report).some((count) => count > 0)) log.info({ report }, 'backups were tidied');
      },
    },
  ];
}
