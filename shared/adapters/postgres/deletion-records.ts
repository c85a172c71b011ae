import {
  type DeletionCertificate,
  deletionCertificate,
  type KeptCertificate,
  keepCertificate,
  type Trace,
} from '#shared/domain/backup/deletion-certificate.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';
import { appendAudit } from './audit.ts';
import { toBackup } from './backup-columns.ts';
import type { Database, Queryable } from './database.ts';
import { underLock } from './operation-lock.ts';
import type { Row } from './rows.ts';

/** What purges have found, before they took it away. */
export type PurgeFindings = {
  /** Has this purge looked? */
  has(operationId: string): Promise<boolean>;
  /** Repeatable: what was found first stays. @throws Failure `fenced`. */
  write(operation: { id: string; fence: number }, instanceId: string, found: readonly Trace[]): Promise<void>;
};

export function purgeFindings(database: Database): PurgeFindings {
  return {
    async has(operationId) {
      const { rowCount } = await database.query('select 1 from purge_findings where operation_id = $1', [operationId]);
      return rowCount === 1;
    },
    write: (operation, instanceId, found) =>
      underLock(database, operation, async (transaction) => {
        await transaction.query(
          `insert into purge_findings (operation_id, instance_id, found) values ($1, $2, $3)
           on conflict (operation_id) do nothing`,
          [operation.id, instanceId, JSON.stringify(found)],
        );
      }),
  };
}

type FactsRow = {
  customer_id: string;
  terminated_at: Date | null;
  imported_at: Date | null;
  loaded_at: Date | null;
  /** A double: seconds. */
  lock_seconds: number | null;
  now: Date;
};

// A backup's lock began when its objects were written, which was after it was begun.
const factsText = `
  select customer_id, terminated_at, clock_timestamp() as now,
    (select max(o.created_at) from operations o where o.instance_id = i.id and o.kind = 'import') as imported_at,
    (select max(coalesce(l.finished_at, l.started_at)) from (
        select instance_id, started_at, finished_at from loads
        union all select instance_id, started_at, finished_at from restores) l
      where l.instance_id = i.id) as loaded_at,
    (select extract(epoch from max(b.locked_until - b.started_at))::double precision from backups b
      where b.instance_id = i.id) as lock_seconds
  from instances i where id = $1`;
// Whoever was made from it, and from those.
const copiesText = `
  with recursive copies (id) as (
    select id from instances where cloned_from = $1
    union select i.id from instances i join copies c on i.cloned_from = c.id)
  select i.id as instance, i.host from instances i join copies c on c.id = i.id
  where i.purged_at is null and i.id <> $1 order by i.id`;
const exportsText = `select id, state from exports where instance_id = $1 and state <> 'deleted' order by started_at, id`;

// Of all tries since the termination: one that was lost half-way has taken away what the next one does not find.
const findingsText = `
  select f.* from purge_findings f join instances i on i.id = f.instance_id
  where f.instance_id = $1 and f.at >= coalesce(i.terminated_at, '-infinity') order by f.at`;

/** Says in the audit log what was removed, in the transaction that ends the purge. */
export async function certifyDeletion(
  transaction: Queryable,
  operation: Operation,
  signer: Pick<Signer, 'sign'> | undefined,
): Promise<void> {
  const { instanceId } = operation;
  const facts = await transaction.query<FactsRow>(factsText, [instanceId]);
  const exports = await transaction.query<Pick<Row<'exports'>, 'id' | 'state'>>(exportsText, [instanceId]);
  const copies = await transaction.query<{ instance: string; host: string | null }>(copiesText, [instanceId]);
  const findings = await transaction.query<Row<'purge_findings'>>(findingsText, [instanceId]);
  const backups = await transaction.query<Row<'backups'>>(
    'select * from backups where instance_id = $1 order by started_at, id',
    [instanceId],
  );
  const row = facts.rows[0];
  if (row === undefined) return;
  const { withoutbackup } = operation.request as { withoutbackup?: boolean };
  const certificate = deletionCertificate({
    operation: { ...operation, withoutBackup: withoutbackup === true },
    customerId: row.customer_id,
    terminatedAt: row.terminated_at,
    beganAt: findings.rows[0]?.at ?? null,
    now: row.now,
    found: findings.rows.flatMap(({ found }) => found),
    backups: backups.rows.map(toBackup),
    exports: exports.rows,
    importedAt: row.imported_at,
    loadedAt: row.loaded_at,
    lockMs: row.lock_seconds === null ? null : Math.ceil(row.lock_seconds * 1_000),
    liveCopies: copies.rows,
  });
  const { kept, sha256 } = keepCertificate(certificate, signer);
  await appendAudit(transaction, {
    actor: 'purge',
    action: 'purge.certified',
    instanceId,
    operationId: operation.id,
    detail: { sha256, copiesUntil: certificate.copiesUntil, certificate: kept },
  });
}

/** A certificate as the audit log has it. */
export type CertificateEntry = {
  at: Date;
  operationId: string;
  sha256: string;
  copiesUntil: DeletionCertificate['copiesUntil'];
  kept: KeptCertificate;
};

/** Those of an instance, newest first. An instance has one, unless it was brought back from nothing. */
export async function listCertificates(queryable: Queryable, instanceId: string): Promise<CertificateEntry[]> {
  const { rows } = await queryable.query<Pick<Row<'audit'>, 'at' | 'operation_id' | 'detail'>>(
    `select at, operation_id, detail from audit where instance_id = $1 and action = 'purge.certified'
     order by sequence desc`,
    [instanceId],
  );
  return rows.map(({ at, operation_id, detail }) => {
    const { sha256, copiesUntil, certificate } = detail as Pick<CertificateEntry, 'sha256' | 'copiesUntil'> & {
      certificate: KeptCertificate;
    };
    return { at, operationId: operation_id ?? '', sha256, copiesUntil, kept: certificate };
  });
}
