import { beforeAll, beforeEach, expect, test } from 'vitest';
import {
  beginAfresh,
  endHeld,
  holdOperation,
  insertPlacedInstance,
} from '#shared/adapters/postgres/backup-records.fixture.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { shortOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { makeBackupSweep } from './sweep.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await beginAfresh(database);
});

/** A cluster and servers in memory, each thing with the operation it belongs to. */
function makeWorld(left: {
  jobs: Record<string, string | null> | 'unreachable';
  databases: Record<string, string>;
  loads?: Record<string, string>;
}) {
  const gone: string[] = [];
  const troubles: string[] = [];
  const sweep = makeBackupSweep({
    database,
    holder: 'test',
    jobs: {
      list: async () => {
        if (left.jobs === 'unreachable') throw new Error('refused');
        return Object.entries(left.jobs).map(([name, operationId]) => ({ name, operationId, instanceId: 'x' }));
      },
      remove: async (name) => void gone.push(`job ${name}`),
    },
    verifications: {
      list: async ({ id }) =>
        id === 'verify'
          ? Object.entries(left.databases).map(([name, id]) => ({ database: name, operation: shortOperationId(id) }))
          : [],
      sweep: async ({ id }, name) => void gone.push(`${name} on ${id}`),
    },
    loads: {
      list: async ({ id }) =>
        id === 'verify'
          ? []
          : Object.entries(left.loads ?? {}).map(([name, id]) => ({
              database: name,
              operation: shortOperationId(id),
              instanceId: 'x',
            })),
      sweep: async ({ id }, name) => void gone.push(`${name} on ${id}`),
    },
    onTrouble: (what, error) => void troubles.push(`${what}: ${(error as Error).message}`),
  });
  return { sweep, gone, troubles };
}

test('what belongs to an operation that is over, or to none, goes; what is at work stays', async () => {
  const [one, two] = [await insertPlacedInstance(database, 1), await insertPlacedInstance(database, 2)];
  const atWork = await holdOperation(database, one);
  const over = await holdOperation(database, two);
  await endHeld(database, over.id, 'failed');
  const { sweep, gone } = makeWorld({
    jobs: {
      working: atWork.id,
      failed: over.id,
      unknown: crypto.randomUUID(),
      unmarked: null,
      'odoo-x-tidy-0a1b2c3d-1': over.id,
    },
    databases: { verify_working: atWork.id, verify_failed: over.id },
    loads: { load_working: atWork.id, load_failed: over.id },
  });
  expect(await sweep()).toEqual({ removed: 5 });
  expect(gone).toEqual(['job failed', 'job unknown', 'job unmarked', 'load_failed on one', 'verify_failed on verify']);
  // once a minute
  expect(await sweep()).toEqual({ removed: 0 });
});

test('a cluster that does not answer keeps no server from being swept, and is asked again by the next tick', async () => {
  const { sweep, gone, troubles } = makeWorld({ jobs: 'unreachable', databases: { verify_old: crypto.randomUUID() } });
  expect(await sweep()).toEqual({ removed: 1 });
  expect(gone).toEqual(['verify_old on verify']);
  expect(troubles).toHaveLength(1);
  expect(await sweep()).toEqual({ removed: 1 });
});
