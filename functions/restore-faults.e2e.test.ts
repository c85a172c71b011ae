import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { missingFiles } from '#scripts/test/crash/restore-case.ts';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { listObjectsAtRest, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { instanceSeen, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { ask, ended, type HeldWorker, heldWorker, inDatabase } from './backup.fixture.ts';

let worker: HeldWorker;
let fleet: TestFleet;
let end: () => Promise<void>;
let id: string;
let backup: string;

beforeAll(async () => {
  worker = await heldWorker();
  ({ fleet, end } = await startTestFleet({ worker: worker.image }));
  await untilWarm(fleet);
  id = await runningInstance(fleet, 'whole');
  await mark('mark one');
  backup = await ask(fleet, 'backup', id);
  expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded' });
  await mark('mark two');
});
afterEach(() => worker.letGo());
afterAll(async () => {
  await end?.();
  await worker?.end();
});

const mark = (name: string) => inDatabase(fleet, `odoo_${id}`, `insert into res_partner (name) values ('${name}')`);

/** What there is of the instance: rows, files, its page, and whatever a restore or an export makes besides. */
async function seen() {
  const marks = `select name from res_partner where name like 'mark %' order by id`;
  const databases = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select datname as name from pg_database where strpos(datname, '${id}') > 0
     union all select rolname from pg_roles where strpos(rolname, '${id}') > 0 order by 1`,
  );
  const objects = (await listObjectsAtRest(fleet.cluster)).filter(({ name }) => /-(load|swap|export)-/.test(name));
  const { status, desired_state } = await instanceSeen(fleet, id);
  return {
    marks: (await inDatabase<{ name: string }>(fleet, `odoo_${id}`, marks)).map(({ name }) => name),
    missing: await missingFiles({ fleet }, id),
    names: databases.map(({ name }) => name),
    objects: objects.map(({ kind, name }) => `${kind}/${name}`),
    ...{ status, desired_state },
  };
}

describe('an instance whose restore or export meets a store or a disk that fails', () => {
  let before: Awaited<ReturnType<typeof seen>>;
  beforeEach(async () => {
    before = await seen();
    expect(before).toMatchObject({ marks: ['mark one', 'mark two'], missing: [], objects: [], status: 'running' });
  });
  afterEach(async () => {
    expect(await seen()).toEqual(before);
    await pageAnswers(fleet, 'whole', 200);
  });

  test.each([
    ['restore', 'no-capacity: The object store is full.'],
    ['restore', "no-capacity: The instance's volume is full: a file finds no room."],
    ['export', 'no-capacity: The object store is full.'],
  ] as const)('is as before when the Job of its %s says “%s”, which is told', async (kind, line) => {
    await worker.fail(line);
    const operation = await ask(fleet, kind, id, { backup });
    expect(await ended(fleet, operation)).toMatchObject({
      ...{ state: 'failed', error_code: 'job-failed', error_text: expect.stringContaining(line) },
    });
  });

  test.each(['restore', 'export'] as const)(
    'is as before when the store stays away from three Jobs of its %s',
    async (kind) => {
      await worker.fail('unavailable: The object store cannot be reached.');
      const operation = await ask(fleet, kind, id, { backup });
      expect(await ended(fleet, operation)).toMatchObject({
        ...{ state: 'failed', error_code: 'job-failed', error_text: expect.stringContaining('the last of 3') },
      });
    },
  );

  test.each(['restore', 'export'] as const)(
    'is as before when the store has lost the end of the dump of its %s',
    async (kind) => {
      const dump = join(backupFolderOf(fleet.folder), 'backups', id, backup, '1', 'dump');
      const whole = await readFile(dump);
      await truncate(dump, whole.length - 100);
      try {
        const operation = await ask(fleet, kind, id, { backup });
        expect(await ended(fleet, operation)).toMatchObject({
          state: 'failed',
          error_code: expect.stringMatching(/damaged|job-failed/),
        });
      } finally {
        await writeFile(dump, whole);
      }
    },
  );

  test('has its export when the store is away from one Job of it only', async () => {
    await worker.fail('unavailable: The object store cannot be reached.');
    const operation = await ask(fleet, 'export', id, { backup });
    const round = 'select round from exports where id = $1 and round > 1';
    await until('another Job to follow', async () => (await fleet.rows(round, [operation])).length > 0);
    await worker.letGo();
    expect(await ended(fleet, operation)).toMatchObject({ state: 'succeeded', error_text: null });
  });
});
