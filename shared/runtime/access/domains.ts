import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import {
  type DomainsInstance,
  deleteDomain,
  findDomain,
  findDomainsInstance,
  insertDomain,
  isHostOfInstance,
  listDomains,
  lockDomainsInstance,
  markDomainVerified,
  oustDomain,
  ownDomains,
} from '#shared/adapters/postgres/custom-domains.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { wakeShard } from '#shared/adapters/postgres/reconcile-shards.ts';
import { actorOf, type Principal } from '#shared/domain/access/principal.ts';
import {
  type CustomDomain,
  type DomainResolver,
  domainsPerInstance,
  isProven,
  proofOf,
  readHost,
  tokensAmong,
} from '#shared/domain/custom-domain/custom-domain.ts';
import { Failure } from '#shared/domain/failure.ts';

/** `target`: the instance's own host, to which the customer's has to lead (CNAME). */
export type ShownDomain = CustomDomain & { target: string };

export type Named = { instanceId: string; host: string };

/** The hosts of a customer's own that an instance has or asks for. @throws Failure `not-found`. */
export async function domainsOf(database: Database, principal: Principal, instanceId: string): Promise<ShownDomain[]> {
  const instance = known(await findDomainsInstance(database, instanceId, principal));
  return (await listDomains(database, instanceId)).map((domain) => ({ ...domain, target: instance.host }));
}

/**
 * Asks for a host. The same again gives the same row, with the same proof to publish.
 * @throws Failure `not-found`, `invalid-request`, `name-reserved`, `host-taken`, `terminated`, `quota-exceeded`.
 */
export async function addDomain(
  database: Database,
  principal: Principal,
  asked: Named,
): Promise<{ domain: ShownDomain; isNew: boolean }> {
  const { instanceId } = asked;
  const host = readHost(asked.host, await ownDomains(database));
  return await database.transaction(async (transaction) => {
    const instance = known(await lockDomainsInstance(transaction, instanceId, principal));
    if (instance.isTerminated) throw new Failure('terminated', 'The instance is terminated: no host can lead to it.');
    const before = await findDomain(transaction, { instanceId, host });
    if (before !== undefined) return { domain: { ...before, target: instance.host }, isNew: false };
    if (await isHostOfInstance(transaction, host)) throw taken(host);
    if ((await listDomains(transaction, instanceId)).length >= domainsPerInstance) {
      throw new Failure('quota-exceeded', `An instance may have ${domainsPerInstance} hosts: remove one first.`);
    }
    const by = actorOf(principal);
    const domain = await insertDomain(transaction, { instanceId, host, by });
    await appendAudit(transaction, { actor: by, action: 'domain.added', instanceId, detail: { host } });
    return { domain: { ...domain, target: instance.host }, isNew: true };
  });
}

/**
 * Looks for the proof in DNS, and makes the host the instance's when it is there. One that is proven already is not looked
 * for again.
 * @throws Failure `not-found`; `not-allowed` that names the record to publish; `host-taken`; `unavailable`.
 */
export async function verifyDomain(
  { database, resolver }: { database: Database; resolver: DomainResolver },
  principal: Principal,
  { instanceId, host }: Named,
): Promise<ShownDomain> {
  const { host: target } = known(await findDomainsInstance(database, instanceId, principal));
  const domain = knownDomain(await findDomain(database, { instanceId, host }));
  if (domain.verifiedAt !== null) return { ...domain, target };
  const { name, text } = proofOf(domain);
  // outside the transaction: DNS may take seconds
  const texts = await resolver.texts(name);
  if (!isProven(domain, texts)) {
    const how = `Publish a TXT record ${name} with the text "${text}" and try again; DNS may take a while to tell.`;
    throw new Failure('not-allowed', `The host is not proven to be yours. ${how}`);
  }
  const verified = await markVerified(database, principal, { domain, published: tokensAmong(texts) });
  return { ...verified, target };
}

/** Takes a host away. @throws Failure `not-found`. */
export async function removeDomain(
  database: Database,
  principal: Principal,
  { instanceId, host }: Named,
): Promise<void> {
  await database.transaction(async (transaction) => {
    known(await lockDomainsInstance(transaction, instanceId, principal));
    const removed = knownDomain(await deleteDomain(transaction, { instanceId, host }));
    await tell(transaction, principal, { action: 'domain.removed', domain: removed });
    if (removed.verifiedAt !== null) await wakeShard(transaction, instanceId);
  });
}

async function markVerified(
  database: Database,
  principal: Principal,
  { domain, published }: { domain: CustomDomain; published: readonly string[] },
): Promise<CustomDomain> {
  try {
    return await database.transaction(async (transaction) => {
      const instance = known(await lockDomainsInstance(transaction, domain.instanceId, principal));
      if (instance.isTerminated) throw new Failure('terminated', 'The instance is terminated: no host can lead to it.');
      for (const instanceId of await oustDomain(transaction, { ...domain, published })) {
        await tell(transaction, principal, { action: 'domain.lost', domain: { ...domain, instanceId } });
        await wakeShard(transaction, instanceId);
      }
      const verified = knownDomain(await markDomainVerified(transaction, domain));
      await tell(transaction, principal, { action: 'domain.verified', domain });
      await wakeShard(transaction, domain.instanceId);
      return verified;
    });
  } catch (error) {
    if (error instanceof Failure && error.facts['constraint'] === 'custom_domains_owner') throw taken(domain.host);
    throw error;
  }
}

async function tell(
  transaction: Queryable,
  principal: Principal,
  { action, domain: { instanceId, host } }: { action: string; domain: CustomDomain },
): Promise<void> {
  await appendAudit(transaction, { actor: actorOf(principal), action, instanceId, detail: { host } });
}

/** Also for somebody else's: nobody learns what exists. */
function known(instance: DomainsInstance | undefined): DomainsInstance {
  if (instance !== undefined) return instance;
  throw new Failure('not-found', 'There is no such instance.', { facts: { field: 'path.id' } });
}

function knownDomain(domain: CustomDomain | undefined): CustomDomain {
  if (domain !== undefined) return domain;
  throw new Failure('not-found', 'The instance has no such host.', { facts: { field: 'path.host' } });
}

function taken(host: string): Failure {
  const text = `${host} leads to another instance. Whoever has it must remove it there first.`;
  return new Failure('host-taken', text, { facts: { field: 'body.host' } });
}
