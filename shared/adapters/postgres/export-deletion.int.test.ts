import { beforeAll, expect, test } from 'vitest';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { beginAfresh, insertBackup, insertPlacedInstance } from './backup-records.fixture.ts';
import { giveUpExports, overText } from './export-deletion.ts';

const records = platformOfThisFile(databaseOfThisFile());
let instanceId: string;
let backupId: string;

beforeAll(async () => {
  await insertCatalogue(records());
  await beginAfresh(records());
  instanceId = await insertPlacedInstance(records(), 1);
  backupId = await insertBackup(records(), instanceId);
});

const insertMany = (
  count: number,
  what: { state: string; key: string | null; left: string; deletedAt: string | null },
) =>
  records().query(
    `insert into exports (id, instance_id, backup_id, state, round, archive_key, finished_at, object_key, bytes, sha256, files,
       expires_at, deleted_at)
     select gen_random_uuid(), $1, $2, $3, 1, $4, now(), 'x', 1, repeat('a', 64), 1, now() + $5::interval, $6::timestamptz
     from generate_series(1, $7::integer)`,
    [instanceId, backupId, what.state, what.key, what.left, what.deletedAt, count],
  );

type Node = { 'Node Type': string; 'Relation Name'?: string; 'Index Cond'?: string; Plans?: Node[] };
const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

test('exports whose time is over are found by that time, without reading those that wait for it or are long gone', async () => {
  await insertMany(20_000, { state: 'deleted', key: null, left: '-1 day', deletedAt: '2026-01-01' });
  await insertMany(2_000, { state: 'ready', key: 'k', left: '1 hour', deletedAt: null });
  await insertMany(3, { state: 'ready', key: 'k', left: '-1 second', deletedAt: null });
  await records().query('analyze exports');
  const text = `explain (format json) ${overText.replace('$1', '20')}`;
  const { rows } = await records().query<{ 'QUERY PLAN': [{ Plan: Node }] }>(text);
  const nodes = rows.flatMap((row) => nodesOf(row['QUERY PLAN'][0].Plan));
  expect(nodes.filter((node) => (node['Index Cond'] ?? '').startsWith('(expires_at <= now'))).toHaveLength(1);
  expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan' && node['Relation Name'] === 'exports')).toEqual([]);

  expect(await giveUpExports(records(), 2)).toBe(2);
  expect(await giveUpExports(records(), 20)).toBe(1);
  expect(await giveUpExports(records(), 20)).toBe(0);
});
