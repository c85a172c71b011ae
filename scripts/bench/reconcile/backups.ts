import { listDeleting, takeToRetain } from '#shared/adapters/postgres/backup-deletion.ts';
import { endAbandoned } from '#shared/adapters/postgres/backup-ends.ts';
import { readBackupNumbers, readPointNumbers } from '#shared/adapters/postgres/backup-numbers.ts';
import { listSchedulable, readRoom } from '#shared/adapters/postgres/backup-schedule.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { listToCollect } from '#shared/adapters/postgres/file-collection.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import type { BenchReport, Table } from '../report.ts';
import { median } from '../statistics.ts';
import type { Records } from './records.ts';

/** As the schedule asks for them. */
const pageSize = 500;
const rounds = 9;
/** Where the pages begin: in the middle of all ids. */
const middle = 'm';

type Arm = { name: string; run: (database: Database) => Promise<unknown> };

/** A page by the primary key alone: what everything else is held against. */
const barePage: Arm = {
  name: 'bare page of 500 instances by key',
  run: (database) => database.query('select id from instances where id > $1 order by id limit $2', [middle, pageSize]),
};
const schedulePage: Arm = {
  name: 'page of the schedule, 500 instances',
  run: (database) => listSchedulable(database, { after: middle, limit: pageSize }),
};
/** What a tick asks while nothing is due, but for the schedule's page. */
const nothingDue: Arm = {
  name: 'whatever else a tick asks, nothing due',
  async run(database) {
    await readRoom(database);
    await endAbandoned(database, { limit: 50 });
    await takeToRetain(database, 50);
    await listDeleting(database, { after: null, limit: 50 });
    await listToCollect(database, 10);
    await readBackupNumbers(database, async () => noPoints);
  },
};
const points: Arm = { name: 'numbers of all points, once a minute', run: (database) => readPointNumbers(database) };
const noPoints = { unproven: 0, overdue: 0, oldestProvenAge: 0, dumpBytes: 0 };

const arms = [barePage, schedulePage, nothingDue, points];

/** Milliseconds of each arm, side by side round by round. */
export type BackupSample = { size: number; ms: ReadonlyMap<Arm, number>; ratios: ReadonlyMap<Arm, number> };

/** Measures what the tick asks about backups, in a fleet of which each instance has those of some months. */
export async function measureBackups(records: Records, size: number): Promise<BackupSample> {
  await records.backUp();
  const database = openDatabase({
    ...records.pooled,
    driver: 'pg',
    applicationName: 'bench',
    maxConnections: 1,
    sslMode: 'disable',
    onError: (failure) => console.error(failure.message),
  });
  try {
    await refuseEmpty(database);
    const times = new Map<Arm, number[]>(arms.map((arm) => [arm, []]));
    // The first round only warms the pages.
    for (let round = -1; round < rounds; round += 1) {
      for (const arm of arms) {
        const began = performance.now();
        await arm.run(database);
        if (round >= 0) times.get(arm)?.push(performance.now() - began);
      }
    }
    const bare = times.get(barePage) ?? [];
    const ratioOf = (all: readonly number[]) => median(all.map((ms, round) => ms / (bare[round] ?? Number.NaN)));
    return {
      size,
      ms: new Map([...times].map(([arm, all]) => [arm, median(all)])),
      ratios: new Map([...times].map(([arm, all]) => [arm, ratioOf(all)])),
    };
  } finally {
    await database.end();
  }
}

/** All of it would be quick for the wrong reason. */
async function refuseEmpty(database: Queryable): Promise<void> {
  const { instances } = await listSchedulable(database, { after: middle, limit: pageSize });
  const withBackup = instances.filter(({ facts }) => facts.newest !== null && facts.lastLook !== null);
  if (withBackup.length === 0) throw new Error('No instance of the page has a backup.');
}

/** As the report shows them. */
export function backupsTable(samples: readonly BackupSample[]): Table {
  const rows = samples.flatMap(({ size, ms, ratios }) =>
    arms.map((arm) => [
      `${size.toLocaleString('en-US')}: ${arm.name}`,
      ms.get(arm) ?? Number.NaN,
      ratios.get(arm) ?? Number.NaN,
    ]),
  );
  return {
    title: 'backups: what a tick asks with 14 kept and 21 deleted ones of each instance',
    columns: ['', 'ms', '× bare page'],
    rows,
  };
}

/** A page costs no more than this many bare ones, and what is not due does not grow with the fleet. */
export function backupGoals(samples: readonly BackupSample[]): BenchReport['goals'] {
  const largest = samples.at(-1);
  const smallest = samples[0];
  const growth = (arm: Arm) => (largest?.ratios.get(arm) ?? Number.NaN) / (smallest?.ratios.get(arm) ?? Number.NaN);
  const goal = (what: string, measured: number, limit: number) => {
    return { what, measured, limit, unit: 'x' as const, is: 'at most' as const };
  };
  return [
    goal('backups: page of the schedule, to a bare page', largest?.ratios.get(schedulePage) ?? Number.NaN, 40),
    goal('backups: growth of that with ten times the instances', growth(schedulePage), 2),
    goal('backups: growth of all that is not due', growth(nothingDue), 2),
  ];
}
