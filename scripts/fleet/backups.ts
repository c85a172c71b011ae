import { backupRecords } from '#shared/adapters/postgres/backup-records.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { Backup } from '#shared/domain/backup/backup.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type Done, sizeOf, table, timeOf } from './screen.ts';

/** Without its wrapped key, which is nobody's business. */
function shown({ dumpKey: _dumpKey, ...backup }: Backup): Omit<Backup, 'dumpKey'> {
  return backup;
}

const proofOf = ({ proof }: Backup) => (proof.state === 'proven' && proof.odooBooted ? 'proven, booted' : proof.state);

async function mustBeThere(database: Database, instanceId: string): Promise<void> {
  const { rowCount } = await database.query('select 1 from instances where id = $1', [instanceId]);
  if (rowCount === 0) throw new Failure('not-found', `There is no instance ${instanceId}.`);
}

/** The instance's backups, newest first, and its last proven restorable point. */
export async function listBackups(database: Database, instanceId: string): Promise<Done> {
  await mustBeThere(database, instanceId);
  const records = backupRecords(database);
  const backups = await records.list({ instanceId });
  const proven = await records.newestProven(instanceId);
  const rows = backups.map((one) => [
    one.id,
    one.kind,
    one.state,
    proofOf(one),
    timeOf(one.snapshotAt),
    sizeOf(one.sizes?.dumpBytes),
    sizeOf(one.sizes?.filesBytes),
  ]);
  const point = proven === undefined ? 'none' : `${timeOf(proven.snapshotAt)} (${proven.id})`;
  const header = ['BACKUP', 'KIND', 'STATE', 'PROOF', 'HOLDS THE STATE OF', 'DUMP', 'FILES'];
  return {
    json: { instance: instanceId, lastProven: proven?.id ?? null, backups: backups.map(shown) },
    lines: [
      ...(rows.length === 0 ? ['There are no backups.'] : table([header, ...rows])),
      `Last proven restorable point: ${point}`,
    ],
  };
}

/** One backup of the instance: the newest that succeeded, unless named. @throws Failure `not-found`. */
export async function showBackup(
  database: Database,
  { instanceId, backupId }: { instanceId: string; backupId: string | undefined },
): Promise<Done> {
  await mustBeThere(database, instanceId);
  const records = backupRecords(database);
  const backup =
    backupId === undefined ? await records.newest(instanceId) : await records.find({ instanceId, backupId });
  if (backup === undefined) throw new Failure('not-found', `No backup of instance ${instanceId} has succeeded yet.`);
  const { rows } = await database.query<{ progress: unknown }>('select progress from operations where id = $1', [
    backup.id,
  ]);
  const progress = rows[0]?.progress ?? null;
  const { sizes, error, proof } = backup;
  const facts: readonly (readonly [string, string])[] = [
    ['backup', backup.id],
    ['instance', backup.instanceId],
    ['customer', backup.customerId],
    ['kind', backup.kind],
    ['state', error === null ? backup.state : `${backup.state}: ${error.text} (${error.code})`],
    ['began', timeOf(backup.startedAt)],
    ['ended', timeOf(backup.finishedAt)],
    ['holds', timeOf(backup.snapshotAt)],
    ['dump', sizeOf(sizes?.dumpBytes)],
    [
      'files',
      sizes === null
        ? '-'
        : `${sizes.filesCount}, ${sizeOf(sizes.filesBytes)}, of these ${sizeOf(sizes.uploadedBytes)} new`,
    ],
    [
      'proof',
      `${proofOf(backup)}${proof.at === null ? '' : ` at ${timeOf(proof.at)}`}${proof.text === null ? '' : `: ${proof.text}`}`,
    ],
    ['locked', timeOf(backup.lockedUntil)],
    ['manifest', backup.manifest?.key ?? '-'],
    ...(backup.state === 'running' ? ([['progress', JSON.stringify(progress)]] as const) : []),
    ...Object.entries(backup.summary).map(
      ([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)] as const,
    ),
  ];
  return { json: { backup: shown(backup), progress }, lines: table(facts) };
}
