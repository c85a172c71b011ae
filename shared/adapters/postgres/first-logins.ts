import type { SealedLogin } from '#shared/domain/notification/first-login.ts';
import { appendAudit } from './audit.ts';
import type { Database, Queryable } from './database.ts';

/** Keeps what a link opens, beside those of earlier tries, which somebody may have got. */
export async function keepFirstLogin(
  queryable: Queryable,
  { instanceId, login, hours }: { instanceId: string; login: Omit<SealedLogin, 'token'>; hours: number },
): Promise<void> {
  await queryable.query(
    `insert into first_logins (token_sha256, instance_id, sealed, expires_at)
     values ($1, $2, $3, now() + $4::integer * interval '1 hour')`,
    [login.tokenSha256, instanceId, login.sealed, hours],
  );
}

/** Whether an instance still has a link that nobody used: made anew for a mail that is tried again, or not. */
export async function wasFirstLoginUsed(queryable: Queryable, instanceId: string): Promise<boolean> {
  const { rowCount } = await queryable.query(
    `select from audit where instance_id = $1 and action = 'first-login.used' limit 1`,
    [instanceId],
  );
  return rowCount > 0;
}

/** Uses a link up, with all others of its instance; undefined when it was, when its time is over, or when there is none. */
export async function useFirstLogin(
  database: Database,
  tokenSha256: Buffer,
): Promise<{ instanceId: string; sealed: Buffer } | undefined> {
  return await database.transaction(async (transaction) => {
    const { rows } = await transaction.query<{ instance_id: string; sealed: Buffer }>(
      'delete from first_logins where token_sha256 = $1 and expires_at > now() returning instance_id, sealed',
      [tokenSha256],
    );
    const [found] = rows;
    if (found === undefined) return undefined;
    const { instance_id: instanceId, sealed } = found;
    await transaction.query('delete from first_logins where instance_id = $1', [instanceId]);
    await appendAudit(transaction, { actor: 'link:first-login', action: 'first-login.used', instanceId });
    return { instanceId, sealed };
  });
}
