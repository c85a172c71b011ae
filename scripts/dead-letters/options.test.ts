import { describe, expect, it } from 'vitest';
import { readOptions } from './options.ts';

const nowMs = Date.parse('2026-01-31T12:00:00Z');
const read = (line: string) => {
  const options = readOptions(line.split(' '), nowMs);
  if (options === 'help') throw new Error('asked for help');
  return options;
};

describe('the options', () => {
  it('show what is open unless they say otherwise, and do nothing without --yes', () => {
    expect(read('list')).toMatchObject({
      filter: { states: ['waiting', 'given-up'] },
      limit: 100,
      target: 'either',
      yes: false,
      force: false,
    });
    expect(read('replay --all --dry-run')).toMatchObject({ yes: false });
    expect(read('list --state resolved')).toMatchObject({ filter: { states: ['resolved'] } });
  });

  it('choose by number, id, type and time', () => {
    expect(read('replay --number 3 --number 4 --id a --type t --since 12h --to origin --force --yes')).toMatchObject({
      filter: { sequences: [3, 4], ids: ['a'], type: 't', since: new Date('2026-01-31T00:00:00Z') },
      target: 'origin',
      force: true,
      yes: true,
    });
    expect(read('list --since 2026-01-01T00:00:00+01:00').filter.since).toEqual(new Date('2025-12-31T23:00:00Z'));
    expect(read('show 7').filter).toEqual({ sequences: [7] });
  });

  it.each([
    ['', /Say what to do/],
    ['delete', /Say what to do/],
    ['replay', /which events/],
    ['resolve --yes', /which events/],
    ['show', /one number/],
    ['show 1 2', /one number/],
    ['show x', /number from 1/],
    ['list 7', /does not take/],
    ['list --limit 0', /--limit/],
    ['list --since yesterday', /--since/],
    ['list --since 2026-01-31', /--since/],
    ['list --since 2026-13-31T00:00Z', /--since/],
    ['list --state open', /--state/],
    ['replay --all --to http://evil.example/', /--to takes broker or origin/],
    ['replay --all --yes --dry-run', /contradict/],
    ['list --nonsense', /nonsense/],
  ])('%j is refused with a reason', (line, reason) => {
    expect(() => read(line)).toThrow(reason);
  });
});
