import type { KnownMetric } from './known-metrics.ts';
import { namesOf } from './promql.ts';

/** An expression and where it stands. */
export type Expression = { at: string; text: string };

/** What expressions name that no function shows: a sentence each. */
export function nameMistakes(expressions: readonly Expression[], known: ReadonlyMap<string, KnownMetric>): string[] {
  return expressions.flatMap(({ at, text }) => {
    const { metrics, groupLabels } = namesOf(text);
    if (metrics.length === 0) return [`${at}: names no metric: ${text}`];
    const unknown = metrics.filter(({ name }) => !known.has(name));
    if (unknown.length > 0) return unknown.map(({ name }) => `${at}: no function has a metric ${name}.`);
    const wrong = metrics.flatMap(({ name, labels }) =>
      labels
        .filter((label) => !known.get(name)?.labels.includes(label))
        .map((label) => `${name} has no label ${label}`),
    );
    const anyLabels = new Set(metrics.flatMap(({ name }) => known.get(name)?.labels ?? []));
    const unseen = groupLabels.filter((label) => !anyLabels.has(label));
    return [...wrong, ...unseen.map((label) => `none of its metrics has a label ${label}`)].map(
      (mistake) => `${at}: ${mistake}.`,
    );
  });
}

/** Labels that an alert's text shows and that its expression does not keep: they would be empty. */
export function textMistakes(alert: {
  alert: string;
  expr: string;
  annotations: Readonly<Record<string, string>>;
}): string[] {
  const kept = new Set(namesOf(alert.expr).groupLabels);
  return Object.values(alert.annotations).flatMap((text) =>
    [...text.matchAll(/\$labels\.(\w+)/g)]
      .filter(([, label = '']) => !kept.has(label))
      .map(([, label]) => `alert ${alert.alert}: its expression keeps no label ${label}.`),
  );
}

/** Names against Prometheus' conventions: our prefix, base units, `_total` for counters and nothing else. */
export function conventionMistakes(known: ReadonlyMap<string, KnownMetric>): string[] {
  return [...known.values()]
    .filter(({ name }) => name.startsWith('fleet_'))
    .flatMap(({ name, type, labels, help }) => [
      ...(/^[a-z][a-z0-9_]*$/.test(name) ? [] : [`${name}: lower-case letters, digits and _ only.`]),
      ...((type === 'counter') === name.endsWith('_total')
        ? []
        : [`${name}: _total is for counters, and all of them.`]),
      ...(/_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)/.test(name) ? [`${name}: use base units.`] : []),
      ...(type === 'histogram' && !/_(seconds|bytes)_(bucket|sum|count)$/.test(name)
        ? [`${name}: state its unit.`]
        : []),
      ...(labels.some((label) => /(^|_)(id|instance_id|operation|event|customer|host)$/.test(label))
        ? [`${name}: a label that grows with the fleet.`]
        : []),
      ...(help.length > 10 ? [] : [`${name}: say what it is.`]),
    ]);
}
