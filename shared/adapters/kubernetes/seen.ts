import { namesOf } from '#shared/domain/instance/names.ts';
import type { Seen } from '#shared/domain/observation/observation.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { type ClusterNews, type ClusterObject, conditionOf, isSeenByController } from './cluster-object.ts';

const maxReasonLength = 500;

/**
 * What an object's change says about the status of its instance; undefined when it says nothing. Only the web Deployment
 * does: without it nobody is served, while cron pods may come and go. With at least one pod available people are served.
 * One that wants no pods says nothing, nor does one that is being deleted or that its controller has not looked at yet.
 */
export function seenOf({ object, isDeleted }: ClusterNews, instanceId: string): Seen | undefined {
  const { metadata } = object;
  if (object.kind !== 'Deployment' || metadata.name !== namesOf(instanceId).object) return undefined;
  if (isDeleted) return { what: 'gone', reason: `Deployment ${metadata.name} was deleted.` };
  const wanted = (object.spec as { replicas?: number } | undefined)?.replicas ?? 1;
  if (wanted === 0 || metadata.deletionTimestamp !== undefined || !isSeenByController(object)) return undefined;
  const available = (object.status as { availableReplicas?: number } | undefined)?.availableReplicas ?? 0;
  if (available > 0) return { what: 'available' };
  const why = whyUnavailable(object);
  if (why === undefined) return undefined;
  const reason = oneLine(`${why} ${available} of ${wanted} pods are available.`, maxReasonLength);
  return { what: 'unavailable', reason };
}

/** In the cluster's words; undefined when it does not say that anything is wrong. */
function whyUnavailable(object: ClusterObject): string | undefined {
  const trouble =
    conditionOf(object, 'ReplicaFailure', 'True') ??
    conditionOf(object, 'Progressing', 'False') ??
    conditionOf(object, 'Available', 'False');
  return trouble === undefined ? undefined : (trouble.message ?? `${trouble.type} is ${trouble.status}.`);
}
