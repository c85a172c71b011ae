import { namesOf } from '#shared/domain/instance/names.ts';

/** Marks and field manager of everything this product writes. */
export const managedBy = 'odoo-fleet';

export const labelKeys = {
  name: 'app.kubernetes.io/name',
  managedBy: 'app.kubernetes.io/managed-by',
  instance: 'app.kubernetes.io/instance',
  component: 'app.kubernetes.io/component',
  /** An instance's id, or `template-<digest>`. */
  owner: 'odoofleet.dev/instance',
  /** Of an instance's own objects: the part of the fleet that reconcile lists at once. Never in a selector of ours. */
  shard: 'odoofleet.dev/shard',
} as const;

export const annotationKeys = {
  /** Operation that wrote the object last. */
  operation: 'odoofleet.dev/operation',
  /** Fence of that operation; an object is never written under a lower one. */
  fence: 'odoofleet.dev/fence',
  /** Hash of what the object was wanted to be when it was written last. */
  desired: 'odoofleet.dev/desired',
  /** On pods and the configuration Secret: hash of odoo.conf. A changed file means new pods. */
  configuration: 'odoofleet.dev/configuration',
  /** On the configuration Secret: hash of odoo.conf without its passwords. */
  form: 'odoofleet.dev/form',
  /** On pods: the operation whose restart they must have seen. */
  restarted: 'odoofleet.dev/restarted',
} as const;

/** What a pod is for. The Service selects `web` only. */
export type Component = 'web' | 'cron' | 'job';

/** The shard an instance's objects are listed with: the first character of its id, one of 32. */
export function shardOf(instanceId: string): string {
  return instanceId.slice(0, 1);
}

/** Labels of every object of an instance. */
export function labelsOf(instanceId: string): Record<string, string> {
  return {
    [labelKeys.name]: 'odoo',
    [labelKeys.managedBy]: managedBy,
    [labelKeys.instance]: namesOf(instanceId).object,
    [labelKeys.owner]: instanceId,
    [labelKeys.shard]: shardOf(instanceId),
  };
}

/** Labels of an instance's pods of one kind. */
export function podLabelsOf(instanceId: string, component: Component): Record<string, string> {
  return { ...labelsOf(instanceId), [labelKeys.component]: component };
}

/**
 * `app.kubernetes.io/name` of pods in which Odoo is started on a restored backup. No policy of workers selects them, and the
 * instance's own leaves them out: of the ways out only those of all Jobs are open to a program that holds a customer's data
 * and runs a customer's actions, DNS and PostgreSQL.
 */
export const bootLabel = 'odoo-fleet-boot';
