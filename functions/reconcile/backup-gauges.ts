import type { BackupNumbers } from '#shared/adapters/postgres/backup-numbers.ts';
import type { FleetGauge } from './gauges.ts';

type Plain = Exclude<keyof BackupNumbers, 'running' | 'failed' | 'slots'>;

const plain = (name: string, help: string, of: Plain): FleetGauge => ({
  name,
  help,
  labelNames: [],
  samples: ({ backups }) => [{ labels: {}, value: backups[of] }],
});

const byKind = (name: string, help: string, of: 'running' | 'failed'): FleetGauge => ({
  name,
  help,
  labelNames: ['kind'],
  samples: ({ backups }) => Object.entries(backups[of]).map(([kind, value]) => ({ labels: { kind }, value })),
});

const bySlot = (name: string, help: string, of: 'used' | 'slots'): FleetGauge => ({
  name,
  help,
  labelNames: ['server', 'purpose'],
  samples: ({ backups }) =>
    backups.slots.map((one) => ({ labels: { server: one.server, purpose: one.purpose }, value: one[of] })),
});

/** The numbers of backups. */
export const backupGauges: readonly FleetGauge[] = [
  plain(
    'fleet_backup_oldest_proven_age_seconds',
    'Age of the last proven restorable point of the instance whose one is oldest; 0 where no instance has any.',
    'oldestProvenAge',
  ),
  plain(
    'fleet_backup_instances_unproven',
    'Instances older than two days without any proven restorable point.',
    'unproven',
  ),
  plain(
    'fleet_backup_instances_overdue',
    'Instances without a backup for more than twice the time their plan says.',
    'overdue',
  ),
  plain(
    'fleet_backup_finals_missing',
    'Terminated instances past their undo window without a proven final backup: they cannot be purged.',
    'finalsMissing',
  ),
  plain('fleet_backups_refuted', 'Kept backups whose restore showed that they are not what they should be.', 'refuted'),
  plain('fleet_backups_deleting', 'Backups that were given up and whose objects are still there.', 'deleting'),
  plain('fleet_backups_dump_bytes', 'Dumps of kept backups, as they are stored. Files are not in it.', 'dumpBytes'),
  byKind('fleet_backups_running', 'Backups at work.', 'running'),
  byKind('fleet_backups_failed', 'Backups that failed within the last day.', 'failed'),
  bySlot('fleet_backup_slots_used', 'Backups, or verifications, at work on a database server in use.', 'used'),
  bySlot('fleet_backup_slots', 'Backups, or verifications, that may be at work on it at a time.', 'slots'),
];
