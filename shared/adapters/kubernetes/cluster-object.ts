/** What the cluster says about one of our objects, as far as it matters here. */
export type ClusterObject = {
  kind: string;
  metadata: {
    name: string;
    generation?: number | undefined;
    labels?: Record<string, string> | undefined;
    deletionTimestamp?: unknown;
    resourceVersion?: unknown;
  };
  spec?: unknown;
  status?: unknown;
};

/** What the object's source said of it: that it is there, as it is now, or that it is there no more. */
export type ClusterNews = { object: ClusterObject; isDeleted: boolean };

export type Condition = { type?: string; status?: string; message?: string };

function conditionsOf(status: unknown): Condition[] {
  const conditions = (status as { conditions?: Condition[] } | undefined)?.conditions;
  return Array.isArray(conditions) ? conditions : [];
}

/** The condition, when it has that status. */
export function conditionOf({ status }: ClusterObject, type: string, value: 'True' | 'False'): Condition | undefined {
  return conditionsOf(status).find((condition) => condition.type === type && condition.status === value);
}

/** Has its controller seen the newest generation? Else its status is about an older one. */
export function isSeenByController({ metadata, status }: ClusterObject): boolean {
  const observed = (status as { observedGeneration?: number } | undefined)?.observedGeneration ?? 0;
  return observed >= (metadata.generation ?? 0);
}

/** The instance an object belongs to, by our label. */
export function instanceOf(object: ClusterObject): string | undefined {
  return object.metadata.labels?.['odoofleet.dev/instance'];
}
