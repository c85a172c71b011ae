import { type ClusterNews, conditionOf, isSeenByController } from '#shared/adapters/kubernetes/cluster-object.ts';

/**
 * Does this change let an operation go on? A Deployment: it became available, gave up making progress, or is gone. A
 * Job: it ended, or is gone. Everything else a controller reports on the way (several events per object) does not.
 */
export function letsOperationsGoOn({ object, isDeleted }: ClusterNews): boolean {
  if (object.kind !== 'Job' && object.kind !== 'Deployment') return false;
  if (isDeleted) return true;
  const has = (type: string, value: 'True' | 'False') => conditionOf(object, type, value) !== undefined;
  if (object.kind === 'Job') return has('Complete', 'True') || has('Failed', 'True');
  return isSeenByController(object) && (has('Available', 'True') || has('Progressing', 'False'));
}
