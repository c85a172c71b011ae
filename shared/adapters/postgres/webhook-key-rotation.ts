import { asFailure } from '#shared/domain/failure.ts';
import type { SecretRewrapper } from '#shared/domain/webhook/secret.ts';
import type { Database } from './database.ts';

/** How many secrets of customers' endpoints one key of the ring wraps: those that sign, and those that sign beside them for a while. */
export type WebhookKeyUse = { keyId: string; current: number; previous: number };

const isLive = 'previous_until > clock_timestamp()';

/** Which keys of the ring the endpoints name. A wrapped secret is `w1.<key id>.<the rest>`. */
export async function webhookKeyUses(database: Database): Promise<WebhookKeyUse[]> {
  const { rows } = await database.query<WebhookKeyUse>(
    `select split_part(wrapped, '.', 2) as "keyId", count(*) filter (where is_current)::integer as current,
       count(*) filter (where not is_current)::integer as previous
     from (select secret as wrapped, true as is_current from webhook_endpoints where secret is not null
       union all select previous_secret, false from webhook_endpoints where ${isLive}) as used
     group by 1 order by 1`,
  );
  return rows;
}

const pageSize = 500;

type Wrapped = { id: string; secret: string; previous: string | null };

/** `previous`: the one of before a rotation, which signs beside the live one for a while. */
type Which = 'secret' | 'previous';

/** What a rewrap came to. `closed`: secrets that cannot be opened, and are left as they are. */
export type RewrapReport = {
  looked: number;
  rewrapped: number;
  closed: { endpoint: string; which: Which; reason: string }[];
};

/**
 * Wraps the endpoints' secrets by the ring's current key, endpoint by endpoint; what is wrapped stays the same. Repeatable: a
 * kill leaves some of them for the next time. A secret that its customer changes meanwhile is left to him.
 */
export async function rewrapWebhookSecrets(
  database: Database,
  wrapper: SecretRewrapper,
  onPage: (progress: RewrapReport) => void,
): Promise<RewrapReport> {
  const report: RewrapReport = { looked: 0, rewrapped: 0, closed: [] };
  let after = '00000000-0000-0000-0000-000000000000';
  for (;;) {
    const { rows } = await database.query<Wrapped>(
      `select id, secret, case when ${isLive} then previous_secret end as previous from webhook_endpoints
       where id > $1 and secret is not null order by id limit $2`,
      [after, pageSize],
    );
    // one that cannot be opened does not hold up the other of its endpoint
    for (const [row, which] of rows.flatMap((one) => [[one, 'secret'] as const, [one, 'previous'] as const])) {
      try {
        report.rewrapped += await rewrapOne(database, wrapper, row, which);
      } catch (caught) {
        const failure = asFailure(caught);
        if (failure.code !== 'damaged' && failure.code !== 'misconfigured') throw failure;
        report.closed.push({ endpoint: row.id, which, reason: failure.message });
      }
    }
    report.looked += rows.length;
    onPage(report);
    after = rows.at(-1)?.id ?? after;
    if (rows.length < pageSize) return report;
  }
}

/** Whether it was wrapped anew, as a number. Only over the one that was read: nobody's new one is lost. */
async function rewrapOne(database: Database, wrapper: SecretRewrapper, row: Wrapped, which: Which): Promise<number> {
  const wrapped = row[which];
  const fresh = wrapped === null ? undefined : await wrapper.rewrap(wrapped, row.id);
  if (fresh === undefined) return 0;
  const column = which === 'secret' ? 'secret' : 'previous_secret';
  const { rowCount } = await database.query(
    `update webhook_endpoints set ${column} = $3 where id = $1 and ${column} = $2`,
    [row.id, wrapped, fresh],
  );
  return rowCount;
}
