import type { LifeKind, LifeResult } from './life-case.ts';
import type { Reference } from './life-cycle.ts';

/** Prints a line per case, and a line per kind with what they came to. */
export function printLifeTable(
  kinds: readonly LifeKind[],
  { references, results }: { references: ReadonlyMap<LifeKind, Reference>; results: readonly LifeResult[] },
): void {
  const lines = kinds.flatMap((kind) => {
    const ofKind = results.filter((result) => result.kind === kind.kind);
    const points = references.get(kind)?.points.length ?? 0;
    return ['', ...ofKind.map(lineOf), `crash table | ${kind.kind} | ${points} stop points | ${summaryOf(ofKind)}`];
  });
  // One call, so that nothing comes in between.
  console.log([...lines, ''].join('\n'));
}

/** The same for cases of other tests, under a title. */
export function printCases(title: string, results: readonly LifeResult[]): void {
  printLines(`${title} | ${summaryOf(results)}`, results.map(lineOf));
}

/** Lines, and one that sums them up. */
export function printLines(summary: string, lines: readonly string[]): void {
  console.log(['', ...lines, `crash table | ${summary}`, ''].join('\n'));
}

function lineOf({ kind, point, kills, recovery, endedBy, seconds, why }: LifeResult): string {
  const { number = 0, name = 'no crash', occurrence = 1 } = point ?? {};
  const what = `${name}${occurrence > 1 ? ` (${occurrence})` : ''}`;
  return [
    kind.padEnd(9),
    String(number).padStart(4),
    what.length > 76 ? `…${what.slice(-75)}` : what.padEnd(76),
    (kills === 0 ? 'not passed' : `killed${kills > 1 ? ` ${kills} times` : ''}, ${recovery}`).padEnd(15),
    endedBy.padEnd(8),
    `${seconds.toFixed(1)} s`.padStart(7),
    why.length === 0 ? 'as wanted' : ['OTHERWISE', ...why.map((text) => text.slice(0, 500))].join('\n            '),
  ].join(' ');
}

/** How many cases, how they ended, and the slowest. */
export function summaryOf(results: readonly LifeResult[]): string {
  const killed = results.filter(({ kills }) => kills > 0);
  const well = killed.filter(({ why }) => why.length === 0).length;
  const by = (ender: LifeResult['endedBy']) => killed.filter(({ endedBy }) => endedBy === ender).length;
  const slowest = Math.max(0, ...results.map(({ seconds }) => seconds)).toFixed(1);
  const twice = killed.filter(({ kills }) => kills > 1).length;
  const notPassed = results.length - killed.length;
  return [
    `${killed.length} crashes${twice > 0 ? `, ${twice} of them twice` : ''}${notPassed > 0 ? ` (${notPassed} not passed)` : ''}`,
    `${well} as wanted`,
    `by the event ${by('request')}, by an advance ${by('advance')}, over before ${by('itself')}, not looked at ${by('unknown')}`,
    `slowest ${slowest} s`,
  ].join(' | ');
}
