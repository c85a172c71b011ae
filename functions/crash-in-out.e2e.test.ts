import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { everyOfLife } from '#scripts/test/crash/compare.ts';
import { forget } from '#scripts/test/crash/end-state.ts';
import { crashCycle } from '#scripts/test/crash/life-cycle.ts';
import { newRunning, startLifeWorld } from '#scripts/test/crash/life-world.ts';
import { missingFiles } from '#scripts/test/crash/restore-case.ts';
import { newInstanceId, type World } from '#scripts/test/crash/world.ts';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { exportLink } from '#shared/domain/backup/export-link.ts';
import { parseKeyRing, ringKeyWrapper, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { uploadArchive } from '#shared/runtime/upload-archive.ts';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import { until } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { carryOut } from '#shared/testing/life.ts';
import { openOdooArchive } from '#shared/worker/odoo-archive.ts';

/** Each case runs a worker, and an import an Odoo besides. */
const concurrency = 2;
const timeout = 3_600_000;

/** Unless CRASH_EVERY asks for all points one by one, two processes are killed in each case, one after the other. */
const choiceOf = (drawn: { pairs: number; seed: number }) =>
  process.env['CRASH_EVERY'] === undefined ? drawn : { every: everyOfLife };

let world: World;
let source: string;
let folder: string;
let zip: Buffer;

beforeAll(async () => {
  world = await startLifeWorld({ warmTarget: 1 });
  folder = await mkdtemp(join(tmpdir(), 'fleet-crash-in-out-'));
  source = await newSource();
  await carryOut(world.fleet, 'export', source);
  zip = await download(await newestExport());
});
afterAll(async () => {
  await world?.end();
  await rm(folder, { recursive: true, force: true });
});

const inDatabase = <Row extends object>(id: string, text: string) =>
  queryAsSuperuser<Row>(world.fleet.servers.odoo, text, { database: `odoo_${id}` });

/** A running instance with a backup that has the customer's row. */
async function newSource(): Promise<string> {
  const id = await newRunning(world);
  await inDatabase(id, `insert into res_partner (name) values ('Größe & Söhne 株式会社 🐘')`);
  await carryOut(world.fleet, 'backup', id);
  return id;
}

const ring = async () => {
  const parsed = parseKeyRing(await readFile(join(world.fleet.folder, 'secrets/backup-keys'), 'utf8'));
  return { signer: ringSigner(() => parsed), wrapper: ringKeyWrapper(() => parsed) };
};

async function newestExport(): Promise<string> {
  const text = 'select id::text from exports where instance_id = $1 order by started_at desc limit 1';
  return (await world.fleet.rows<{ id: string }>(text, [source]))[0]?.id ?? '';
}

/** By its link. @throws Error when it cannot be downloaded, or is not what its tag says. */
async function download(exportId: string): Promise<Buffer> {
  const [row] = await world.fleet.rows<{ expires_at: Date }>('select expires_at from exports where id = $1', [
    exportId,
  ]);
  const expiresAt = new Date(row?.expires_at ?? 0);
  const link = exportLink({ exportId, expiresAt }, world.fleet.functions.url('download'), (await ring()).signer);
  // "try again" is an answer of a busy machine
  const answer = await until('the download to be answered', async () => {
    const one = await fetch(link);
    if (one.status !== 503) return one;
    await one.arrayBuffer();
    return undefined;
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const tag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
  if (answer.status === 200 && answer.headers.get('etag') === tag) return bytes;
  throw new Error(`the download answers ${answer.status} with the tag ${answer.headers.get('etag')}, not ${tag}`);
}

/** What the archive holds besides its dump, and whether the dump has the customer's row. */
async function contentsOf(bytes: Buffer): Promise<{ files: string[]; hasRow: boolean }> {
  const file = join(folder, `${randomUUID()}.zip`);
  await writeFile(file, bytes);
  const archive = await openOdooArchive(file);
  try {
    const pieces: Buffer[] = [];
    for await (const piece of archive.read(archive.dump)) pieces.push(piece);
    return {
      files: [...archive.files.keys()].toSorted(),
      hasRow: Buffer.concat(pieces).includes('Größe & Söhne 株式会社 🐘'),
    };
  } finally {
    await archive.close();
    await rm(file);
  }
}

test('killed anywhere, an export ends with the archive that it would have made', { timeout }, async () => {
  const wanted = JSON.stringify(await contentsOf(zip));
  const check = async (_world: World, _id: string, operationId: string) => {
    const found = JSON.stringify(await contentsOf(await download(operationId)));
    return found === wanted ? [] : [`the archive has ${found}, not ${wanted}`];
  };
  const kinds = [{ kind: 'export' as const, check }];
  const choice = choiceOf({ pairs: 6, seed: 11 });
  await crashCycle(world, { kinds, newInstance: newSource, concurrency, choice });
});

const facts = `select (select value from ir_config_parameter where key = 'database.uuid') as uuid,
  (select string_agg(name, ',' order by id) from res_partner) as partners,
  (select string_agg(password, ',' order by id) from res_users) as passwords,
  (select string_agg(distinct tableowner, ',') from pg_tables where schemaname = 'public') as owners`;

test('killed anywhere, an import ends as the instance that was exported', { timeout }, async () => {
  const factsOf = async (id: string) => JSON.stringify((await inDatabase(id, facts))[0]).replaceAll(id, 'ID');
  const wanted = await factsOf(source);
  const data = (instanceId: string) => ({
    customer: `customer-${instanceId}`,
    name: `i${instanceId}`,
    plan: 'small',
    owner: { email: 'owner@acme.example' },
    from: { kind: 'odoo-zip', key: `imports/${instanceId}/archive.zip` },
  });
  const prepare = async ({ fleet }: World, former: string) => {
    if (former !== source) await forget(fleet, former);
    const instanceId = newInstanceId();
    async function* bytes(): AsyncGenerator<Buffer> {
      yield zip;
    }
    const store = openDirectoryStore(backupFolderOf(fleet.folder), { isShared: true });
    await uploadArchive(store, { instanceId, name: 'archive.zip', bytes: bytes() }, await ring());
    return instanceId;
  };
  const check = async (_world: World, id: string) => {
    const found = await factsOf(id);
    const missing = (await missingFiles(world, id)).map((file) => `${file} is missing`);
    return found === wanted ? missing : [`it has ${found}, not ${wanted}`, ...missing];
  };
  const kinds = [{ kind: 'import' as const, data, prepare, check }];
  const choice = choiceOf({ pairs: 4, seed: 12 });
  await crashCycle(world, { kinds, newInstance: async () => source, concurrency, choice });
});
