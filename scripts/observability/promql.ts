/** What a PromQL expression names: metrics with the labels it asks of each, and labels it groups or joins by. */
export type Named = { metrics: { name: string; labels: string[] }[]; groupLabels: string[] };

const keywords = new Set(['and', 'or', 'unless', 'bool', 'offset', 'atan2', 'start', 'end', 'inf', 'nan']);
const grouping = /\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const selector = /([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?/g;
const matcher = /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"/g;

/**
 * Reads an expression as far as its names go. It knows what our rules and dashboards use; a selector without a metric's
 * name (`{job="x"}`) is not among it.
 */
export function namesOf(expression: string): Named {
  const groupLabels: string[] = [];
  const withoutGroups = expression.replaceAll(grouping, (_, _word, list: string) => {
    groupLabels.push(
      ...list
        .split(',')
        .map((label) => label.trim())
        .filter(Boolean),
    );
    return ' ';
  });
  // durations and Grafana's variables in brackets hold letters that name nothing
  const text = withoutGroups.replaceAll(/\[[^\]]*\]/g, ' ');
  const metrics: Named['metrics'] = [];
  for (const match of text.matchAll(selector)) {
    const [whole, name = '', labels = ''] = match;
    const isCall = text
      .slice(match.index + whole.length)
      .trimStart()
      .startsWith('(');
    const isPartOfNumber = /[\d.]/.test(text[match.index - 1] ?? '');
    if (isCall || isPartOfNumber || keywords.has(name.toLowerCase())) continue;
    metrics.push({ name, labels: [...labels.matchAll(matcher)].map(([, label = '']) => label) });
  }
  return { metrics, groupLabels };
}
