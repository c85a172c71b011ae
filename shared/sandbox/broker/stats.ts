/** What happened to the events that matched one Trigger. */
export type TriggerStats = {
  accepted: number;
  delivered: number;
  /** Attempts after an event's first one. */
  retried: number;
  deadLettered: number;
  /** Neither delivered nor dead-lettered, though nobody asked for that: the class's manners. */
  lost: number;
  /** Neither delivered nor dead-lettered because of the faults. */
  dropped: number;
  /** Second copies because of the faults. */
  duplicated: number;
};

export type BrokerStats = {
  /** Events accepted, from publishers and as replies of subscribers. */
  accepted: number;
  /** Requests that were no CloudEvent for this broker. */
  refused: number;
  triggers: Record<string, TriggerStats>;
};

export function emptyStats(triggers: Iterable<string>): BrokerStats {
  const empty = { accepted: 0, delivered: 0, retried: 0, deadLettered: 0, lost: 0, dropped: 0, duplicated: 0 };
  return { accepted: 0, refused: 0, triggers: Object.fromEntries([...triggers].map((name) => [name, { ...empty }])) };
}

export function countFor(stats: BrokerStats, trigger: string, what: keyof TriggerStats, by = 1): void {
  const counts = stats.triggers[trigger];
  if (counts !== undefined) counts[what] += by;
}
