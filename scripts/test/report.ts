import { stripVTControlCharacters } from 'node:util';

/** What became of the tests of one tier. */
export type TierResult = {
  tier: string;
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  /** Why the tier could not run, or what went wrong around its tests. One line each. */
  notes: string[];
  /** `file › test`, of those that failed, each with the first lines of why. */
  failures: string[];
};

/** The part of vitest's JSON report that is read here. */
export type VitestReport = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { fullName: string; status: string; failureMessages?: string[] }[];
  }[];
};

type Counts = Pick<TierResult, 'passed' | 'failed' | 'skipped' | 'failures'>;

/** Counts a report. A file that could not be loaded has no tests in the report; it counts as one failure. */
export function countReport(report: VitestReport, options: { root: string }): Counts {
  const failures = report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = name.startsWith(options.root) ? name.slice(options.root.length) : name;
    const failed = assertionResults.filter((one) => one.status === 'failed');
    if (failed.length > 0) {
      return failed.map(({ fullName, failureMessages }) => `${file} › ${fullName}${reason(failureMessages?.[0])}`);
    }
    return status === 'failed' ? [`${file} › the file itself${reason(message)}`] : [];
  });
  return {
    passed: report.numPassedTests,
    // more than the listed ones only if the report lists less than it counts
    failed: Math.max(failures.length, report.numFailedTests),
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

const reasonLines = 30;

/** The first lines of an error, indented: the log of a long run is often cut to its end. */
function reason(message: string | undefined): string {
  if (message === undefined || message === '') return '';
  const lines = stripVTControlCharacters(message).split('\n').slice(0, reasonLines);
  return lines.map((line) => `\n      ${line.slice(0, 300)}`).join('');
}

/** The result of a tier that cannot run here: in continuous integration a failure, else one skipped entry. */
export function notRun(tier: string, reason: string, options: { isCi: boolean; seconds: number }): TierResult {
  const { isCi, seconds } = options;
  const note = `cannot run here: ${reason.split('\n')[0] ?? reason}`;
  return { tier, passed: 0, failed: isCi ? 1 : 0, skipped: isCi ? 0 : 1, seconds, notes: [note], failures: [] };
}

export function totalOf(results: readonly TierResult[]): { passed: number; failed: number; skipped: number } {
  const sum = (key: 'passed' | 'failed' | 'skipped') => results.reduce((total, result) => total + result[key], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

/** The table of tiers, what failed in them, and alone on the last line the counts of all. */
export function reportText(results: readonly TierResult[]): string {
  const row = (cells: readonly string[]) =>
    cells.map((cell, index) => (index === 0 ? cell.padEnd(14) : cell.padStart(8))).join(' ');
  const lines = [row(['tier', 'passed', 'failed', 'skipped', 'time'])];
  for (const { tier, passed, failed, skipped, seconds, notes } of results) {
    lines.push(row([tier, String(passed), String(failed), String(skipped), timeText(seconds)]));
    lines.push(...notes.map((note) => `  ${note}`));
  }
  const failures = results.flatMap(({ tier, failures }) => failures.map((failure) => `  ${tier}: ${failure}`));
  if (failures.length > 0) lines.push('', 'Failed:', ...failures);
  const { passed, failed, skipped } = totalOf(results);
  return [...lines, '', `${passed} passed, ${failed} failed, ${skipped} skipped`].join('\n');
}

function timeText(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}m ${String(whole % 60).padStart(2, '0')}s`;
}
