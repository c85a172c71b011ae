import { describe, expect, test } from 'vitest';
import { type Changeable, changeOf } from './change.ts';

const running: Changeable = {
  id: 'k3n5q2x7a4bc',
  desiredState: 'running',
  isSuspended: false,
  settings: { transient_age_limit: 2 },
};

describe('a change', () => {
  test('that changes nothing needs no operation', () => {
    expect(changeOf(running, {})).toEqual({ kind: undefined });
    expect(changeOf(running, { desiredState: 'running', settings: { transient_age_limit: 2 } })).toEqual({
      kind: undefined,
    });
    expect(changeOf(running, { settings: { workers_are_unknown: null } })).toEqual({ kind: undefined });
  });

  test('of the wanted state is a start or a stop', () => {
    expect(changeOf(running, { desiredState: 'stopped' })).toEqual({ kind: 'stop' });
    expect(changeOf({ ...running, desiredState: 'stopped' }, { desiredState: 'running' })).toEqual({ kind: 'start' });
  });

  test('of settings restarts what runs, and only repairs what does not', () => {
    const settings = { transient_age_limit: 3 };
    expect(changeOf(running, { settings })).toEqual({ kind: 'restart', settings });
    expect(changeOf({ ...running, desiredState: 'stopped' }, { settings })).toEqual({ kind: 'repair', settings });
    expect(changeOf({ ...running, isSuspended: true }, { settings })).toEqual({ kind: 'repair', settings });
  });

  test('takes a setting away with null, and leaves the others', () => {
    const changed = changeOf(
      { ...running, settings: { transient_age_limit: 2, reportgz: true } },
      {
        settings: { transient_age_limit: null },
      },
    );
    expect(changed).toEqual({ kind: 'restart', settings: { reportgz: true } });
  });

  test('to a setting that is the platform’s own is refused', () => {
    expect(changeOf(running, { settings: { admin_passwd: 'x' } })).toMatchObject({ code: 'invalid-request' });
  });

  test('of what is terminated is refused', () => {
    expect(changeOf({ ...running, desiredState: 'terminated' }, {})).toMatchObject({ code: 'terminated' });
  });
});
