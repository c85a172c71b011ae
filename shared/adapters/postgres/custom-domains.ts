import { randomBytes } from 'node:crypto';
import { base32Text } from '#shared/domain/base32-text.ts';
import type { CustomDomain } from '#shared/domain/custom-domain/custom-domain.ts';
import type { Queryable } from './database.ts';

type Row = {
  host: string;
  instance_id: string;
  token: string;
  created_at: Date;
  created_by: string;
  verified_at: Date | null;
};

type Whose = { customerId: string | null };

/** An instance whose hosts are looked at or changed. */
export type DomainsInstance = { id: string; host: string; isTerminated: boolean };

const instanceText = `select i.id, coalesce(i.host, '') as host, i.desired_state = 'terminated' as "isTerminated"
  from instances i where i.id = $1 and ($2::text is null or i.customer_id = $2)`;

/** Undefined when there is no such instance, or it is another customer's. */
export async function findDomainsInstance(
  queryable: Queryable,
  instanceId: string,
  { customerId }: Whose,
): Promise<DomainsInstance | undefined> {
  const { rows } = await queryable.query<DomainsInstance>(instanceText, [instanceId, customerId]);
  return rows[0];
}

/** The same, locked against other changes of its hosts until the end of the transaction. */
export async function lockDomainsInstance(
  transaction: Queryable,
  instanceId: string,
  { customerId }: Whose,
): Promise<DomainsInstance | undefined> {
  const text = `${instanceText} for no key update of i`;
  const { rows } = await transaction.query<DomainsInstance>(text, [instanceId, customerId]);
  return rows[0];
}

/** All hosts of an instance, by name. */
export async function listDomains(queryable: Queryable, instanceId: string): Promise<CustomDomain[]> {
  const text = 'select * from custom_domains where instance_id = $1 order by host';
  const { rows } = await queryable.query<Row>(text, [instanceId]);
  return rows.map(domainOf);
}

export async function findDomain(
  queryable: Queryable,
  { instanceId, host }: { instanceId: string; host: string },
): Promise<CustomDomain | undefined> {
  const text = 'select * from custom_domains where instance_id = $1 and host = $2';
  const { rows } = await queryable.query<Row>(text, [instanceId, host]);
  return rows[0] === undefined ? undefined : domainOf(rows[0]);
}

/** Domains under which instances get hosts of the platform's own. */
export async function ownDomains(queryable: Queryable): Promise<string[]> {
  const { rows } = await queryable.query<{ base_domain: string }>('select distinct base_domain from clusters');
  return rows.map(({ base_domain: domain }) => domain);
}

/** Is it the host some instance has from the platform? Rows of the older platform may have hosts outside our domains. */
export async function isHostOfInstance(queryable: Queryable, host: string): Promise<boolean> {
  return (await queryable.query('select 1 from instances where host = $1', [host])).rowCount > 0;
}

/** A host that is still to be proven, with a new token. */
export async function insertDomain(
  transaction: Queryable,
  domain: { instanceId: string; host: string; by: string },
): Promise<CustomDomain> {
  const { rows } = await transaction.query<Row>(
    `insert into custom_domains (instance_id, host, token, created_by) values ($1, $2, $3, $4) returning *`,
    [domain.instanceId, domain.host, base32Text(randomBytes(32)), domain.by],
  );
  return domainOf(rows[0] as Row);
}

/**
 * Takes the host from another instance whose proof is no longer among the published ones: who can publish there now is its
 * owner. Gives the instances that lost it.
 */
export async function oustDomain(
  transaction: Queryable,
  { instanceId, host, published }: { instanceId: string; host: string; published: readonly string[] },
): Promise<string[]> {
  const { rows } = await transaction.query<{ instance_id: string }>(
    `delete from custom_domains
     where host = $1 and instance_id <> $2 and verified_at is not null and not token = any($3) returning instance_id`,
    [host, instanceId, published],
  );
  return rows.map((row) => row.instance_id);
}

/**
 * Makes the host its instance's. An instance that was terminated loses it to this one. Undefined when the row is no longer
 * the one that was proven. @throws Failure `constraint-violated` (`custom_domains_owner`) while it is another instance's.
 */
export async function markDomainVerified(
  transaction: Queryable,
  { instanceId, host, token }: Pick<CustomDomain, 'instanceId' | 'host' | 'token'>,
): Promise<CustomDomain | undefined> {
  await transaction.query(
    `delete from custom_domains d using instances i
     where d.host = $1 and d.instance_id <> $2 and i.id = d.instance_id and i.desired_state = 'terminated'`,
    [host, instanceId],
  );
  const { rows } = await transaction.query<Row>(
    `update custom_domains set verified_at = coalesce(verified_at, clock_timestamp())
     where instance_id = $1 and host = $2 and token = $3 returning *`,
    [instanceId, host, token],
  );
  return rows[0] === undefined ? undefined : domainOf(rows[0]);
}

/** The row that was there; undefined when there was none. */
export async function deleteDomain(
  transaction: Queryable,
  { instanceId, host }: { instanceId: string; host: string },
): Promise<CustomDomain | undefined> {
  const text = 'delete from custom_domains where instance_id = $1 and host = $2 returning *';
  const { rows } = await transaction.query<Row>(text, [instanceId, host]);
  return rows[0] === undefined ? undefined : domainOf(rows[0]);
}

function domainOf(row: Row): CustomDomain {
  return {
    host: row.host,
    instanceId: row.instance_id,
    token: row.token,
    createdAt: row.created_at,
    createdBy: row.created_by,
    verifiedAt: row.verified_at,
  };
}
