import type { CaseResult } from './case.ts';

const nameWidth = 64;

/** Prints a line per stop point: number, point, how it was come back from, how long the whole case took. */
export function printTable(title: string, results: readonly CaseResult[]): void {
  const rows = results.map(({ point, wasKilled, recovery, endState, seconds }) => [
    String(point?.number ?? 0).padStart(4),
    nameOf(point).padEnd(nameWidth),
    (wasKilled ? `killed, ${recovery}` : 'not passed').padEnd(15),
    stateOf(endState).padEnd(10),
    `${seconds.toFixed(1)} s`.padStart(7),
  ]);
  const killed = results.filter(({ wasKilled }) => wasKilled).length;
  const lines = rows.map((row) => `  ${row.join(' ')}`);
  // One call, so that nothing comes in between.
  console.log([`\n${title}: ${results.length} stop points, ${killed} crashes`, ...lines, ''].join('\n'));
}

function nameOf(point: CaseResult['point']): string {
  const { name = 'no crash', occurrence = 1 } = point ?? {};
  const [, what = '', phase = ''] = /^(.*) (\w+)$/.exec(name) ?? [];
  const end = ` ${phase}${occurrence > 1 ? ` (${occurrence})` : ''}`;
  const room = nameWidth - end.length;
  return `${what.length > room ? `${what.slice(0, room - 1)}…` : what}${end}`;
}

function stateOf(endState: CaseResult['endState']): string {
  const [operation] = endState['operations'] as { state: string }[];
  return operation?.state ?? 'no row';
}
