import { createHash } from 'node:crypto';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { type BackupManifest, openManifest, openVerifyResult, ringKeysOf } from '#shared/domain/backup/manifest.ts';
import { asFailure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { successOf } from '#shared/steps/backup/accept-manifest.ts';
import type { PlatformKeys } from '#shared/worker/platform/make.ts';
import { actor } from './instances.ts';

type Reader = Pick<ObjectStore, 'get' | 'head' | 'list'>;

/** A backup as its signed manifest in the store tells of it. */
export type StoredBackup = {
  key: string;
  sha256: string;
  ringKeys: string[];
  lockedUntil: Date | null;
  manifest: BackupManifest;
};

export type StoredBackups = {
  /** Ids of all whose manifest is there. */
  ids: ReadonlySet<string>;
  /** Those that the records do not know as good ones. */
  unknown: readonly StoredBackup[];
  /** Of instances with a final backup in the store, the moment that the newest of them holds. */
  finals: ReadonlyMap<string, Date>;
  reports: readonly string[];
};

async function* keysUnder(store: Pick<ObjectStore, 'list'>, prefix: string): AsyncGenerator<string> {
  let after: string | undefined;
  do {
    const page = await store.list({ prefix, after });
    yield* page.keys;
    after = page.next;
  } while (after !== undefined);
}

/** Reads what the store has and `known` (ids of good backups) has not. A manifest that nobody of us signed is reported and left out. */
export async function readStoredBackups(
  store: Reader,
  options: { known: ReadonlyMap<string, KnownBackup>; keys: Pick<PlatformKeys, 'signer'> },
): Promise<StoredBackups> {
  const ids = new Set<string>();
  const unknown: StoredBackup[] = [];
  const finals = new Map<string, Date>();
  const noteFinal = (instanceId: string, at: Date) => {
    const other = finals.get(instanceId);
    if (other === undefined || other < at) finals.set(instanceId, at);
  };
  const reports: string[] = [];
  for await (const key of keysUnder(store, 'backups/')) {
    const [, instanceId, id] = /^backups\/([^/]+)\/([^/]+)\/manifest$/.exec(key) ?? [];
    if (instanceId === undefined || id === undefined) continue;
    ids.add(id);
    const known = options.known.get(id);
    if (known !== undefined) {
      if (known.kind === 'final') noteFinal(instanceId, known.snapshotAt);
      continue;
    }
    try {
      const read = await readStored(store, key, options.keys);
      if (read === undefined) continue;
      if (read.manifest.instanceId !== instanceId || read.manifest.backupId !== id) {
        reports.push(`The manifest ${key} is that of another backup: it was left out.`);
        continue;
      }
      unknown.push(read);
      if (read.manifest.kind === 'final') noteFinal(instanceId, new Date(read.manifest.snapshotAt));
    } catch (error) {
      reports.push(`The manifest ${key} was left out: ${asFailure(error).message}`);
    }
  }
  return { ids, unknown, finals, reports };
}

async function readStored(
  store: Reader,
  key: string,
  { signer }: Pick<PlatformKeys, 'signer'>,
): Promise<StoredBackup | undefined> {
  const bytes = await store.get(key);
  if (bytes === undefined) return undefined;
  const manifest = openManifest(bytes, signer);
  const head = await store.head(key);
  return {
    key,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    lockedUntil: head?.lockedUntil ?? null,
    ringKeys: ringKeysOf(bytes, manifest),
    manifest,
  };
}

export type KnownBackup = { kind: string; instanceId: string; snapshotAt: Date };

export async function knownBackups(queryable: Queryable): Promise<Map<string, KnownBackup>> {
  const { rows } = await queryable.query<KnownBackup & { id: string }>(
    `select id, kind, instance_id as "instanceId", snapshot_at as "snapshotAt" from backups
     where state in ('succeeded', 'deleting')`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

// One that was at work when the records were backed up has come to its end since, in whatever round.
const enterText = `
  insert into backups as b (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
    snapshot_at, manifest_key, manifest_sha256, summary, dump_bytes, files_bytes, files_count, uploaded_bytes, locked_until,
    previous_id)
  select $1, i.id, $3, $4, 'succeeded', $5, coalesce(i.db_server_id, (select id from db_servers order by id limit 1)), $6, $7, $8,
    $9, $10, $11, $12, $13, $14, $15, $16, $17, (select id from backups where id = $18)
  from instances i where i.id = $2
  on conflict (id) do update set state = 'succeeded', round = excluded.round, dump_key = excluded.dump_key,
    started_at = excluded.started_at, finished_at = excluded.finished_at, snapshot_at = excluded.snapshot_at,
    manifest_key = excluded.manifest_key, manifest_sha256 = excluded.manifest_sha256, summary = excluded.summary,
    dump_bytes = excluded.dump_bytes, files_bytes = excluded.files_bytes, files_count = excluded.files_count,
    uploaded_bytes = excluded.uploaded_bytes, locked_until = excluded.locked_until, error_code = null, error_text = null, deleted_at = null, delete_reason = null
  where b.state in ('running', 'failed', 'deleted')`;

/** False: there is no row of its instance. */
export async function enterBackup(transaction: Queryable, stored: StoredBackup): Promise<boolean> {
  const { manifest, key, sha256, ringKeys, lockedUntil } = stored;
  const { backupId: id, instanceId, attempt } = manifest;
  const { snapshotAt, summary, sizes } = successOf(
    { round: attempt },
    { manifest, key, sha256, ringKeys, lockedUntil },
  );
  const { rowCount } = await transaction.query(enterText, [
    id,
    instanceId,
    manifest.customerId,
    manifest.kind,
    attempt,
    manifest.wrappedKeys.dump,
    manifest.startedAt,
    manifest.finishedAt,
    snapshotAt,
    key,
    sha256,
    JSON.stringify(summary),
    sizes.dumpBytes,
    sizes.filesBytes,
    sizes.filesCount,
    sizes.uploadedBytes,
    lockedUntil,
    manifest.previous,
  ]);
  if (rowCount === 0) return false;
  await transaction.query(
    'insert into instance_keys (instance_id, files_key) values ($1, $2) on conflict (instance_id) do nothing',
    [instanceId, manifest.wrappedKeys.files],
  );
  await endOperation(transaction, id);
  const detail = { backup: id, manifest: sha256 };
  await appendAudit(transaction, { actor, action: 'backup.entered', instanceId, operationId: null, detail });
  return true;
}

/** What it was to do is done. */
async function endOperation(transaction: Queryable, id: string): Promise<void> {
  await transaction.query(
    `update operations set state = 'succeeded', finished_at = clock_timestamp(), next_check_at = null, lease_holder = null,
       lease_until = null
     where id = $1 and state in ('queued', 'running', 'waiting')`,
    [id],
  );
}

/**
 * Good backups whose manifest the store has no more. Retention may have removed them since; or it is another store, or one
 * that lags. So they stay as they are unless a person says otherwise, and never one that is locked.
 */
export async function missingBackups(transaction: Queryable, ids: ReadonlySet<string>): Promise<string[]> {
  const { rows } = await transaction.query<{ id: string }>(
    `select id from backups where state = 'succeeded' and not id = any($1::uuid[])
       and (locked_until is null or locked_until < clock_timestamp()) order by id`,
    [[...ids]],
  );
  return rows.map(({ id }) => id);
}

/** For those that a person has looked for. A manifest that appears after all makes such a row good again. */
export async function forgetMissing(transaction: Queryable, ids: readonly string[]): Promise<void> {
  const { rows } = await transaction.query<{ id: string; instanceId: string }>(
    `update backups set state = 'deleted', deleted_at = clock_timestamp(), dump_key = null,
       delete_reason = 'not in the store when the platform was rebuilt'
     where id = any($1::uuid[]) and state = 'succeeded' returning id, instance_id as "instanceId"`,
    [ids],
  );
  for (const { id, instanceId } of rows) {
    await appendAudit(transaction, { actor, action: 'backup.forgotten', instanceId, detail: { backup: id } });
  }
}

export type Verdict = {
  backupId: string;
  instanceId: string;
  operationId: string;
  round: number;
  differences: string[];
  at: string;
};

/**
 * What verifications since the backup have found, newest first, each checked by the key that only its Job and we can know.
 * Whether Odoo was started then, too, is not in the store: it counts as not started.
 */
export async function readVerdicts(
  store: Reader,
  queryable: Queryable,
  { wrapper }: Pick<PlatformKeys, 'wrapper'>,
): Promise<Verdict[]> {
  const { rows } = await queryable.query<{ id: string; key: string; sha256: string; instanceId: string }>(
    `select id, dump_key as key, manifest_sha256 as sha256, instance_id as "instanceId" from backups
     where state = 'succeeded' and proof = 'none'`,
  );
  const unproven = new Map(rows.map((row) => [row.id, row]));
  const verdicts: Verdict[] = [];
  if (unproven.size === 0) return verdicts;
  for await (const place of keysUnder(store, 'verifications/')) {
    const [, instanceId, backupId, operationId, number] =
      /^verifications\/([^/]+)\/([^/]+)\/([^/]+)\/(\d+)\/result$/.exec(place) ?? [];
    const backup = unproven.get(backupId ?? '');
    if (operationId === undefined || backup === undefined || backup.instanceId !== instanceId) continue;
    const round = Number(number);
    try {
      const dumpKey = await wrapper.unwrap(backup.key, { purpose: 'dump', instanceId, backupId: backup.id });
      const { resultKey } = jobSecrets(dumpKey, { operationId, round });
      const bytes = await store.get(place);
      if (bytes === undefined) continue;
      const result = openVerifyResult(bytes, { operationId, attempt: round, resultKey });
      if (result.backupId !== backup.id || result.manifestSha256 !== backup.sha256) continue;
      const { differences, finishedAt: at } = result;
      verdicts.push({ backupId: backup.id, instanceId, operationId, round, differences, at });
    } catch {
      // one that we cannot check proves nothing: the backup stays unproven, and is verified again in its turn
    }
  }
  return verdicts.toSorted((one, other) => (one.at < other.at ? 1 : -1));
}

export async function enterVerdict(transaction: Queryable, verdict: Verdict): Promise<void> {
  const { backupId, instanceId, operationId, round, differences, at } = verdict;
  const state = differences.length === 0 ? 'proven' : 'refuted';
  const { rowCount } = await transaction.query(
    `update backups set proof = $5, proof_at = $2, proof_by = $3, proof_text = $4 where id = $1 and proof = 'none'`,
    [backupId, at, operationId, oneLine(differences.join('; '), 1_000) || null, state],
  );
  if (rowCount === 0) return;
  await transaction.query(
    `insert into verifications (id, backup_id, instance_id, server_id, round, state, started_at, finished_at, differences)
     select $1, $2, $3, s.id, $4, $7, $5::timestamptz, $5::timestamptz, $6
     from (select id from db_servers order by purpose = 'verification' desc, id limit 1) as s
     on conflict (id) do update set state = excluded.state, finished_at = excluded.finished_at,
       differences = excluded.differences, round = excluded.round, error_code = null, error_text = null`,
    [operationId, backupId, instanceId, round, at, JSON.stringify(differences), state],
  );
  await endOperation(transaction, operationId);
}
