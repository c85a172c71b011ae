import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { listActiveImages } from '#shared/adapters/postgres/images.ts';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import {
  type Adoption,
  adoptionOf,
  type Offer,
  type OlderInstance,
  olderInstanceSchema,
} from '#shared/domain/odoo/older-platform.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import type { backups } from '#shared/runtime/backup-rows.ts';
import { openBackupStore } from '#shared/runtime/backup-store.ts';
import type { Config } from '#shared/runtime/config.ts';
import { uploadArchive } from '#shared/runtime/upload-archive.ts';
import { packArchive } from '#shared/worker/pack-archive.ts';
import type { AskedKind, Given } from './requests.ts';
import { type Done, type Screen, sizeOf } from './screen.ts';

export type Adopting = {
  database: Database;
  screen: Screen;
  config: Config<typeof backups>;
  /** Where the older platform's databases are reached, and by whom; `host` null: where each row says. */
  older: { host: string | null; user: string; passwordFile: string; sslMode: string };
  /** A folder with one of each database's name: the older platform's filestores. */
  filestores: string;
  /** Also what runs there: for rehearsals, where what comes in is thrown away. */
  whileRunning: boolean;
  /** Says what would be done, and does nothing. */
  isDry: boolean;
  /** Asks for an operation and waits for its end. */
  request(kind: AskedKind, given: Given): Promise<Done>;
};

type Wanted = Extract<Adoption, { outcome: 'import' }>;

/** What became of one row. */
type Told = { older: string; instance: string | null; outcome: string };

/**
 * Brings the older platform's instances in, one after the other: each database is packed into an archive while it is used,
 * and imported as an archive is. Nothing is changed there. A second go leaves alone what is here already.
 * @throws Failure `misconfigured` when the file holds no such rows.
 */
export async function adopt(file: string, adopting: Adopting): Promise<Done> {
  const rows = await readRows(file);
  const offer = await readOffer(adopting.database);
  const told: Told[] = [];
  for (const row of rows) {
    const outcome = await adoptOne(row, { adopting, offer }).catch((error: unknown) => ({
      instance: null,
      outcome: `failed: ${asFailure(error).message}`,
    }));
    told.push({ older: row.id, ...outcome });
    adopting.screen.progress?.(undefined);
  }
  const isDone = told.every(({ outcome }) => !outcome.startsWith('failed'));
  return { json: told, lines: told.map((one) => `${one.older}  ${one.instance ?? '-'}  ${one.outcome}`), isDone };
}

async function adoptOne(
  row: OlderInstance,
  { adopting, offer }: { adopting: Adopting; offer: Offer },
): Promise<Omit<Told, 'older'>> {
  const adoption = adoptionOf(row, offer);
  if (adoption.outcome === 'skip') return { instance: null, outcome: `skipped: ${adoption.reason}` };
  const { instance, name, plan } = adoption.request;
  const here = await importOf(adopting.database, instance);
  if (here !== undefined && here.state !== 'succeeded') {
    return { instance, outcome: `failed: its import is ${here.state}: see to that operation first` };
  }
  if (here !== undefined) {
    // what it was there says nothing any more once somebody has done something with it here
    if (here.isInUse) return { instance, outcome: 'is here already' };
    return await askAfterwards(adoption, adopting, 'is here already');
  }
  if (!adopting.whileRunning && !resting.includes(row.status)) {
    const why = 'it runs there: two with one identity would both act. Stop it there first, or say --while-running';
    return { instance, outcome: `skipped: ${why}` };
  }
  if (adopting.isDry) return { instance, outcome: `would be imported as ${name} with plan ${plan}` };
  const key = await packAndUpload(adoption, adopting);
  const imported = await adopting.request('import', { ...adoption.request, from: { kind: 'odoo-zip', key } });
  if (imported.isDone === false) return { instance, outcome: `failed: ${imported.lines.join(' ')}` };
  return await askAfterwards(adoption, adopting, `imported as ${name}`);
}

/** Statuses of the older platform in which no Odoo acts. */
const resting: readonly string[] = ['stopped', 'paused', 'container_missing', 'error'];

/** The import that made the instance, and whether anything was asked of it since; undefined: there is no such instance. */
async function importOf(
  database: Database,
  instanceId: string,
): Promise<{ state: string; isInUse: boolean } | undefined> {
  const { rows } = await database.query<{ state: string; isInUse: boolean }>(
    `select coalesce(o.state, 'none') as state,
       exists (select from operations later where later.instance_id = i.id and later.id <> o.id
         and later.created_at >= o.created_at and later.kind not in ('backup', 'verify', 'export')
         and later.state not in ('failed', 'cancelled')) as "isInUse"
     from instances i
     left join lateral (select id, state, created_at from operations
       where instance_id = i.id and kind = 'import' order by created_at desc limit 1) o on true
     where i.id = $1`,
    [instanceId],
  );
  return rows[0];
}

/** Also of one that is here already: whoever ended this program in between has left it running. */
async function askAfterwards(
  { request, afterwards }: Wanted,
  adopting: Adopting,
  done: string,
): Promise<Omit<Told, 'older'>> {
  const { instance } = request;
  if (afterwards === null) return { instance, outcome: done };
  const cause = afterwards === 'suspend' ? { cause: 'billing' } : {};
  const asked = await adopting.request(afterwards, { instance, ...cause });
  if (asked.isDone === false) {
    return { instance, outcome: `failed: ${done}, and runs: ${afterwards} it. ${asked.lines.join(' ')}` };
  }
  return { instance, outcome: `${done}, then: ${afterwards}` };
}

async function packAndUpload({ request, database }: Wanted, adopting: Adopting): Promise<string> {
  const { screen, older, config, filestores } = adopting;
  const host = older.host ?? database.host;
  if (host === null) throw new Failure('misconfigured', 'The row names no server of its database: state --host.');
  const password = (await readFile(older.passwordFile, 'utf8')).replace(/\r?\n$/, '');
  const { user, sslMode } = older;
  const access: DatabaseAccess = { host, port: database.port, user, password, sslMode, database: database.database };
  const folder = await mkdtemp(join(tmpdir(), 'fleet-adopt-'));
  const options = {
    filestore: join(filestores, database.database),
    folder,
    signal: new AbortController().signal,
    onLost: (text: string) => screen.printError(text),
  };
  async function* counted(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let sent = 0;
    for await (const piece of bytes) {
      yield piece;
      sent += piece.length;
      screen.progress?.(`${request.name}: ${sizeOf(sent)} packed`);
    }
  }
  try {
    return await packArchive(access, options, async (bytes) => {
      // a name of its own for each go: an upload that was broken off is nobody's
      const name = `older-${randomBytes(4).toString('hex')}.zip`;
      const archive = { instanceId: request.instance, name, bytes: counted(bytes) };
      return (await uploadArchive(openBackupStore(config), archive, openBackupKeys(config))).key;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readRows(file: string): Promise<OlderInstance[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Failure('misconfigured', `There is no file ${file} that can be read.`, { cause });
  });
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), v.array(olderInstanceSchema)), text);
  if (parsed.success) return parsed.output;
  const where = v.getDotPath(parsed.issues[0]) ?? 'it';
  const how = 'Write it by: select json_agg(i) from instances i';
  throw new Failure('misconfigured', `${file} is not an array of the older platform's rows (${where}). ${how}.`);
}

async function readOffer(database: Database): Promise<Offer> {
  const plans = await database.query<{ id: string; cpuMillis: number; memoryMib: number; diskGib: number }>(
    `select id, cpu_millis as "cpuMillis", memory_mib as "memoryMib", disk_gib as "diskGib" from plans order by id`,
  );
  const names = await database.query<{ name: string }>(
    `select name from instances where desired_state <> 'terminated'`,
  );
  const images = (await listActiveImages(database)).map(({ image }) => image);
  return { plans: plans.rows, images, names: new Set(names.rows.map(({ name }) => name)) };
}
