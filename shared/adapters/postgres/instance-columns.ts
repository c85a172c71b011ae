import type { Instance } from '#shared/domain/instance/instance.ts';
import type { Row } from './rows.ts';

/** What a row of instances says of itself, with the reasons of `openSuspensions`. */
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
> & { suspensions: Row<'suspensions'>['reason'][] };

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
