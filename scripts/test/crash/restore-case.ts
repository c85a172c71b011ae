import { access, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { shortOperationId } from '#shared/domain/operation/identifiers.ts';
import { dropFile, filestoreOf, keepFile, liveFiles } from '#shared/testing/filestore.ts';
import { until } from '#shared/testing/fleet.ts';
import { listObjectsAtRest, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { carryOut, instanceSeen } from '#shared/testing/life.ts';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';
import { brokenCase, type LifeResult, runCounted, runKilled } from './life-case.ts';
import { evenly, isAroundExternalWrite } from './life-points.ts';
import { newRunning } from './life-world.ts';
import type { World } from './world.ts';

/** An instance whose backup holds `mark one` and `file one`; since then it has `mark two` besides, and `file two` instead. */
export type Restorable = { id: string; backup: string };

export async function newRestorable(world: World): Promise<Restorable> {
  const id = await newRunning(world);
  await mark(world, id, 'mark one');
  await keepFile(world.fleet, id, 'file one');
  await carryOut(world.fleet, 'backup', id);
  const text = `select id::text from backups where instance_id = $1 and state = 'succeeded'`;
  const [row] = await world.fleet.rows<{ id: string }>(text, [id]);
  if (row === undefined) throw new Error('there is no backup');
  await mark(world, id, 'mark two');
  await dropFile(world.fleet, id, 'file one');
  await keepFile(world.fleet, id, 'file two');
  return { id, backup: row.id };
}

const inLive = <Row extends object>({ fleet }: Pick<World, 'fleet'>, id: string, text: string) =>
  queryAsSuperuser<Row>(fleet.servers.odoo, text, { database: `odoo_${id}` });

async function mark(world: World, id: string, name: string): Promise<void> {
  await inLive(world, id, `insert into res_partner (name) values ('${name}')`);
}

/** A restore, or the undo of the last one, without a crash: the stop points it passes. */
export async function pointsOf(world: World, one: Restorable, what: 'restore' | 'undo'): Promise<PassedPoint[]> {
  const { points } = await runCounted(world, await kindOf(world, one, what), one.id);
  return points;
}

/** At most so many, spread over those around what is written outside of the platform's records. */
export function sampled(points: readonly PassedPoint[], count: number): PassedPoint[] {
  return evenly(points.filter(isAroundExternalWrite), count);
}

async function kindOf(world: World, { id, backup }: Restorable, what: 'restore' | 'undo') {
  if (what === 'restore') return { kind: 'restore', data: { backup } } as const;
  return { kind: 'restore', data: { undoes: await lastRestore(world, id) } } as const;
}

async function lastRestore({ fleet }: World, id: string): Promise<string> {
  const text = `select id::text from operations where instance_id = $1 and kind = 'restore' order by id desc limit 1`;
  return (await fleet.rows<{ id: string }>(text, [id]))[0]?.id ?? '';
}

/** Killed at the point, it ends as it would have: the right side is live and whole, the other is kept, nothing else is left. */
export async function killedAt(
  world: World,
  one: Restorable,
  { what, point, recovery }: { what: 'restore' | 'undo'; point: PassedPoint; recovery: LifeResult['recovery'] },
): Promise<LifeResult> {
  const kind = await kindOf(world, one, what);
  const before = await sidesOf(world, one.id);
  const expected = <State>(state: State) => state;
  const killed = { kind, instanceId: one.id, points: [point], recovery, expected };
  const result = await runKilled(world, killed).catch((error: unknown) => brokenCase(killed, error));
  if (result.why.length > 0) return { ...result, kind: what };
  const operation = await lastRestore(world, one.id);
  const outgoing = `old_${one.id}_${shortOperationId(operation)}`;
  const incoming = 'undoes' in kind.data ? `old_${one.id}_${shortOperationId(kind.data.undoes)}` : '';
  const kept = [...before.filter((name) => name !== incoming), outgoing].toSorted();
  const marks = what === 'restore' ? ['mark one'] : ['mark one', 'mark two'];
  const files = what === 'restore' ? ['file one'] : ['file two'];
  const wanted = { state: 'succeeded', status: 'running', page: 200, marks, files, kept, left: [], missing: [] };
  let seen: object = {};
  await until('the restore to have left what it should', async () => {
    seen = await stateOf(world, one.id, operation);
    return JSON.stringify(seen) === JSON.stringify(wanted);
  }).catch(() => undefined);
  const why = JSON.stringify(seen) === JSON.stringify(wanted) ? [] : [`${JSON.stringify(seen)} is not as wanted`];
  return { ...result, kind: what, why };
}

async function stateOf(world: World, id: string, operation: string) {
  const { fleet } = world;
  const [row] = await fleet.rows<{ state: string }>('select state from operations where id = $1', [operation]);
  const marks = await inLive<{ name: string }>(
    world,
    id,
    `select name from res_partner where name like 'mark %' order by id`,
  );
  return {
    state: row?.state,
    status: (await instanceSeen(fleet, id)).status,
    page: await fleet.loginPage(`i${id}`),
    marks: marks.map(({ name }) => name),
    files: await liveFiles(fleet, id, 'file '),
    kept: await sidesOf(world, id),
    left: await leftOf(world, id),
    missing: await missingFiles(world, id),
  };
}

/** Old sides whose database and folder are both there. */
async function sidesOf({ fleet }: World, id: string): Promise<string[]> {
  const names = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select datname::text as name from pg_database where datname ~ '^old_${id}_' order by 1`,
  );
  const both: string[] = [];
  for (const { name } of names) if (await exists(await filestoreOf(fleet, id, name))) both.push(name);
  return both;
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Files that attachments of the live database name, and its folder has not. */
export async function missingFiles(world: Pick<World, 'fleet'>, id: string): Promise<string[]> {
  const text = 'select distinct store_fname as name from ir_attachment where store_fname is not null order by 1';
  const live = await filestoreOf(world.fleet, id, `odoo_${id}`);
  const missing: string[] = [];
  for (const { name } of await inLive<{ name: string }>(world, id, text)) {
    if (!(await exists(join(live, name)))) missing.push(name);
  }
  return missing;
}

/** Databases and roles of loads, Jobs and their Secrets, and what loads have put on the volume. */
async function leftOf({ fleet }: World, id: string): Promise<string[]> {
  const names = await queryAsSuperuser<{ name: string }>(
    fleet.servers.odoo,
    `select datname::text as name from pg_database where datname ~ '^(load|making|trash)_.*${id}'
     union all select rolname::text from pg_roles where rolname ~ '^load_${id}'`,
  );
  const objects = (await listObjectsAtRest(fleet.cluster)).filter(
    ({ name }) => /-(load|swap)-/.test(name) && name.includes(id),
  );
  const live = await filestoreOf(fleet, id, `odoo_${id}`);
  const folders = (await readdir(dirname(live))).filter((name) => /^load_|\.zip$/.test(name));
  return [...names.map(({ name }) => name), ...folders, ...objects.map(({ kind, name }) => `${kind}/${name}`)];
}
