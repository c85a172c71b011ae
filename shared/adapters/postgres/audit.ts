import type { Queryable } from './database.ts';

/** Who did what. */
export type AuditEntry = {
  /** An event's source, or a person. */
  actor: string;
  /** Such as `provision.requested`. */
  action: string;
  instanceId?: string | null;
  operationId?: string | null;
  /** Small facts; never a secret. */
  detail?: Readonly<Record<string, unknown>>;
};

/** Writes one entry in the transaction of what it tells of. Entries cannot be changed or removed. */
export async function appendAudit(transaction: Queryable, entry: AuditEntry): Promise<void> {
  const { actor, action, instanceId = null, operationId = null, detail = {} } = entry;
  await transaction.query(
    'insert into audit (actor, action, instance_id, operation_id, detail) values ($1, $2, $3, $4, $5)',
    [actor, action, instanceId, operationId, JSON.stringify(detail)],
  );
}
