import type { Export } from '#shared/domain/backup/export.ts';
import { appendAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';
import { toExport } from './export-records.ts';
import type { Row } from './rows.ts';

// Their time is over, the instance is purged, or nothing came of them: then what a lost Job has written may be there. Each is
// found by itself, the first by the index of what can be due: its clock has to stand still for that, as that of now() does.
export const overText = `
  with due as (
    select id from exports where state = 'ready' and expires_at <= now()
    union all
    select e.id from exports e join instances i on i.id = e.instance_id where e.state = 'ready' and i.purged_at is not null
    union all
    select e.id from exports e join operations o on o.id = e.id
    where e.state = 'failed' and e.finished_at < now() - interval '1 day' and o.state in ('succeeded', 'failed', 'cancelled'))
  update exports set state = 'deleting', archive_key = null
  where id in (
    select id from exports where id in (select id from due) and state in ('ready', 'failed') limit $1 for update skip locked)
  returning *`;

/** Gives up exports that are to go: from then on nobody can read them, their key is forgotten. How many. */
export async function giveUpExports(database: Database, limit: number): Promise<number> {
  return await database.transaction(async (transaction) => {
    const { rows } = await transaction.query<Row<'exports'>>(overText, [limit]);
    for (const { id, instance_id: instanceId } of rows) {
      const entry = { actor: 'retention', action: 'export.given-up', instanceId, operationId: id };
      await appendAudit(transaction, { ...entry, detail: { export: id } });
    }
    return rows.length;
  });
}

/**
 * Gives up all exports of an instance, in the transaction that ends its purge: from then on nobody can read them, and the
 * next tick removes their objects.
 */
export async function giveUpExportsOf(
  transaction: Queryable,
  instanceId: string,
  { operationId }: { operationId: string },
): Promise<void> {
  const { rows } = await transaction.query<Pick<Row<'exports'>, 'id'>>(
    `update exports set state = 'deleting', archive_key = null, finished_at = coalesce(finished_at, clock_timestamp())
     where instance_id = $1 and state in ('running', 'ready', 'failed') returning id`,
    [instanceId],
  );
  for (const { id } of rows) {
    const entry = { actor: 'purge', action: 'export.given-up', instanceId, operationId };
    await appendAudit(transaction, { ...entry, detail: { export: id } });
  }
}

/** Those whose objects may still be there, in any order: one that cannot be removed keeps no other waiting. */
export async function listDeletingExports(queryable: Queryable, limit: number): Promise<Export[]> {
  const { rows } = await queryable.query<Row<'exports'>>(
    `select * from exports where state = 'deleting' order by random() limit $1`,
    [limit],
  );
  return rows.map(toExport);
}

/** Its objects are gone. Repeatable. */
export async function markExportDeleted(
  database: Database,
  { id, instanceId }: Pick<Export, 'id' | 'instanceId'>,
  objects: number,
): Promise<void> {
  await database.transaction(async (transaction) => {
    const { rowCount } = await transaction.query(
      `update exports set state = 'deleted', deleted_at = clock_timestamp() where id = $1 and state = 'deleting'`,
      [id],
    );
    if (rowCount === 0) return;
    const entry = { actor: 'retention', action: 'export.deleted', instanceId, operationId: id };
    await appendAudit(transaction, { ...entry, detail: { export: id, objects } });
  });
}
