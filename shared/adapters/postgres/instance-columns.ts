import type { Instance } from '#shared/domain/instance/instance.ts';
import type { Row } from './rows.ts';

/** What a row of instances says of itself, with the reasons of `openSuspensions` and the hosts of `provenDomains`. */
export type InstanceColumns = Pick<
  Row<'instances'>,
  | 'id'
  | 'customer_id'
  | 'name'
  | 'host'
  | 'cluster_id'
  | 'desired_state'
  | 'status'
  | 'generation'
  | 'observed_generation'
  | 'modules'
  | 'settings'
  | 'admin_login'
  | 'language'
  | 'restarted_by'
  | 'cloned_from'
> & { suspensions: Row<'suspensions'>['reason'][]; domains: string[] };

/** The proven hosts of an instance's customer, as a column of a query on `instances i`. */
export const provenDomains = `array(select d.host from custom_domains d
    where d.instance_id = i.id and d.verified_at is not null order by d.host) as domains`;

/** The instance of a row and of what the row refers to. */
export function toInstance(
  row: InstanceColumns,
  referred: Pick<Instance, 'plan' | 'image' | 'databaseServer'>,
): Instance {
  return {
    id: row.id,
    customerId: row.customer_id,
    name: row.name,
    host: row.host ?? '',
    domains: row.domains,
    clusterId: row.cluster_id,
    desiredState: row.desired_state,
    suspensions: row.suspensions,
    restartedBy: row.restarted_by,
    clonedFrom: row.cloned_from,
    status: row.status,
    generation: row.generation,
    observedGeneration: row.observed_generation,
    modules: row.modules,
    settings: row.settings,
    adminLogin: row.admin_login,
    language: row.language,
    ...referred,
  };
}
