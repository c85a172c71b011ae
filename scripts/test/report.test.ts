import { describe, expect, it } from 'vitest';
import { countReport, notRun, reportText, type TierResult, type VitestReport } from './report.ts';

const empty = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] };
const tier = (changes: Partial<TierResult>): TierResult => ({
  tier: 'unit',
  passed: 0,
  failed: 0,
  skipped: 0,
  seconds: 1,
  notes: [],
  failures: [],
  ...changes,
});

describe('countReport', () => {
  it('names failed tests by their file below the root, with the first lines of why', () => {
    const report: VitestReport = {
      ...empty,
      numPassedTests: 4,
      numFailedTests: 1,
      numPendingTests: 2,
      numTodoTests: 1,
      testResults: [
        {
          name: '/repository/events/a.test.ts',
          status: 'failed',
          assertionResults: [
            {
              fullName: 'a refuses',
              status: 'failed',
              failureMessages: ['\u001B[31mExpected 1\u001B[39m\nbut got 2', 'another'],
            },
            { fullName: 'a takes', status: 'passed' },
          ],
        },
      ],
    };
    expect(countReport(report, { root: '/repository/' })).toEqual({
      passed: 4,
      failed: 1,
      skipped: 3,
      failures: ['events/a.test.ts › a refuses\n      Expected 1\n      but got 2'],
    });
  });

  it('counts a file that could not be loaded, which has no tests, as one failure', () => {
    const testResults = [{ name: '/repository/a.test.ts', status: 'failed', assertionResults: [] }];
    const counts = countReport({ ...empty, testResults }, { root: '/repository/' });
    expect(counts).toMatchObject({ failed: 1, failures: ['a.test.ts › the file itself'] });
  });
});

describe('a tier that cannot run', () => {
  it('is a failure in continuous integration and is skipped elsewhere, with the reason in one line', () => {
    const reason = 'Go is not on PATH\nmore about it';
    expect(notRun('control-plane', reason, { isCi: true, seconds: 0 })).toMatchObject({ failed: 1, skipped: 0 });
    expect(notRun('control-plane', reason, { isCi: false, seconds: 0 })).toMatchObject({
      failed: 0,
      skipped: 1,
      notes: ['cannot run here: Go is not on PATH'],
    });
  });
});

describe('reportText', () => {
  it('ends with the sums of all tiers, alone on the last line', () => {
    const text = reportText([
      tier({ passed: 10, seconds: 2.345 }),
      tier({ tier: 'int', passed: 5, failed: 1, skipped: 2, seconds: 119.6, failures: ['b.int.test.ts › breaks'] }),
    ]);
    expect(text.split('\n')).toEqual([
      'tier             passed   failed  skipped     time',
      'unit                 10        0        0    2.3 s',
      'int                   5        1        2   2m 00s',
      '',
      'Failed:',
      '  int: b.int.test.ts › breaks',
      '',
      '15 passed, 1 failed, 2 skipped',
    ]);
  });
});
