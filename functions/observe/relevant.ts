/** What the cluster says about one of our objects, as far as it matters here. */
export type ClusterObject = {
  kind: string;
  metadata: { name: string; generation?: number | undefined; labels?: Record<string, string> | undefined };
  status?: unknown;
};

type Condition = { type?: string; status?: string };

function conditionsOf(status: unknown): Condition[] {
  const conditions = (status as { conditions?: Condition[] } | undefined)?.conditions;
  return Array.isArray(conditions) ? conditions : [];
}

function has(status: unknown, type: string, value: string): boolean {
  return conditionsOf(status).some((condition) => condition.type === type && condition.status === value);
}

/**
 * Does this change let an operation go on? A Deployment: it became available, or gave up making progress. A Job: it
 * ended. Everything else a controller reports on the way (several events per object) is answered without a query.
 */
export function letsOperationsGoOn(object: ClusterObject): boolean {
  if (object.kind === 'Job') return has(object.status, 'Complete', 'True') || has(object.status, 'Failed', 'True');
  if (object.kind === 'Deployment') {
    const observed = (object.status as { observedGeneration?: number } | undefined)?.observedGeneration ?? 0;
    if (observed < (object.metadata.generation ?? 0)) return false;
    return has(object.status, 'Available', 'True') || has(object.status, 'Progressing', 'False');
  }
  return false;
}

/** The instance an object belongs to, by our label. */
export function instanceOf(object: ClusterObject): string | undefined {
  return object.metadata.labels?.['odoofleet.dev/instance'];
}
