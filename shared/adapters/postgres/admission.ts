import { Failure } from '#shared/domain/failure.ts';
import type { AdmissionFacts, WantedInstance } from '#shared/domain/instance/admission.ts';
import type { Queryable } from './database.ts';

// The customer's row is made when it is new and locked either way: two requests of one customer are counted one after
// the other, so that the quota holds under any number at once.
const customerText = `
  insert into customers (id) values ($1)
  on conflict (id) do update set id = excluded.id
  returning quota`;

const factsText = `
  select
    (select count(*)::integer from instances where customer_id = $1 and desired_state <> 'terminated') as live_instances,
    exists (select 1 from plans where id = $2) as has_plan,
    exists (select 1 from images where id = $3 and status = 'active') as has_image,
    (select base_domain from clusters where id = $4) as base_domain,
    exists (select 1 from instances i, clusters c where c.id = $4 and i.host = $5 || '.' || c.base_domain)
      as host_is_taken`;

type FactsRow = {
  live_instances: number;
  has_plan: boolean;
  has_image: boolean;
  base_domain: string | null;
  host_is_taken: boolean;
};

/** Reads what decides about a request, with the customer's row locked until the transaction ends. */
export async function readAdmissionFacts(transaction: Queryable, wanted: WantedInstance): Promise<AdmissionFacts> {
  const customer = await transaction.query<{ quota: number }>(customerText, [wanted.customerId]);
  const values = [wanted.customerId, wanted.planId, wanted.imageId, wanted.clusterId, wanted.name];
  const { rows } = await transaction.query<FactsRow>(factsText, values);
  const row = rows[0];
  if (row === undefined) throw new Failure('internal', 'A query without a table gave no row.');
  return {
    quota: customer.rows[0]?.quota ?? 0,
    liveInstances: row.live_instances,
    hasPlan: row.has_plan,
    hasImage: row.has_image,
    baseDomain: row.base_domain ?? undefined,
    hostIsTaken: row.host_is_taken,
  };
}

/**
 * Writes a new instance's row. A failure tells that the id or the host was taken meanwhile; nothing is written then,
 * and the transaction goes on.
 */
export async function insertInstance(
  transaction: Queryable,
  wanted: WantedInstance & { host: string },
): Promise<Failure | undefined> {
  const { rowCount } = await transaction.query(
    `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, modules, settings,
       admin_login, language)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict do nothing`,
    [
      wanted.instanceId,
      wanted.customerId,
      wanted.name,
      wanted.host,
      wanted.clusterId,
      wanted.planId,
      wanted.imageId,
      wanted.modules,
      JSON.stringify(wanted.settings),
      wanted.adminLogin,
      wanted.language,
    ],
  );
  if (rowCount > 0) return undefined;
  const { rows } = await transaction.query('select 1 from instances where id = $1', [wanted.instanceId]);
  return rows.length > 0
    ? new Failure(
        'invalid-request',
        `Instance ${wanted.instanceId} exists already. Leave the id out, or choose another.`,
      )
    : new Failure('host-taken', `The name ${wanted.name} is taken. Choose another name.`);
}
