import { describe, expect, test } from 'vitest';
import { Failure } from '../failure.ts';
import type { OperationKind } from '../operation/operation.ts';
import { type AskedOperation, type OperationFacts, refuseOperation, unknownInstance } from './operation-admission.ts';

const facts = (change: Partial<OperationFacts> = {}): OperationFacts => ({
  desiredState: 'running',
  suspensions: [],
  status: 'running',
  observedGeneration: 1,
  customerId: 'c-1',
  isBeingMade: false,
  isPastUndo: false,
  isPurged: false,
  liveInstances: 1,
  quota: 5,
  ...change,
});

const ask = (kind: OperationKind, change: Partial<AskedOperation> = {}): AskedOperation => ({
  kind,
  instanceId: 'abcdefgh2345',
  cause: null,
  billingRefusal: undefined,
  backupRefusal: undefined,
  ...change,
});

const codeOf = (asked: AskedOperation, of: OperationFacts) => refuseOperation(asked, of)?.code;

const unpaid = new Failure('not-allowed', 'Pay what is open.');
const terminated = facts({ desiredState: 'terminated', status: 'terminated' });

describe('a start', () => {
  test.each([
    [
      'of a suspended instance is refused, whoever asks',
      ask('start'),
      facts({ suspensions: ['billing'] }),
      'suspended',
    ],
    ['of one whose bills are not paid is refused', ask('start', { billingRefusal: unpaid }), facts(), 'not-allowed'],
    ['of a terminated one is refused', ask('start'), terminated, 'terminated'],
    ['of one that was never made is refused', ask('start'), facts({ observedGeneration: 0 }), 'not-allowed'],
    [
      'of one that is being made waits for that',
      ask('start'),
      facts({ observedGeneration: 0, isBeingMade: true }),
      undefined,
    ],
    ['of a stopped one is accepted', ask('start'), facts({ desiredState: 'stopped' }), undefined],
  ] as const)('%s', (_name, asked, of, code) => expect(codeOf(asked, of)).toBe(code));
});

describe('a restart', () => {
  test.each([
    ['of a stopped instance is refused: it would start it', facts({ desiredState: 'stopped' }), 'not-allowed'],
    ['of a suspended one is refused', facts({ suspensions: ['abuse'] }), 'suspended'],
    ['of a running one is accepted', facts(), undefined],
  ] as const)('%s', (_name, of, code) => expect(codeOf(ask('restart'), of)).toBe(code));
});

describe('a resume', () => {
  test.each([
    ['of an instance that is not suspended for that is refused', 'abuse', ['billing'], 'not-allowed'],
    ['of one that is suspended for nothing is refused', 'billing', [], 'not-allowed'],
    ['of one that is suspended for that and for more is accepted', 'billing', ['abuse', 'billing'], undefined],
  ] as const)('%s', (_name, cause, suspensions, code) =>
    expect(codeOf(ask('resume', { cause }), facts({ suspensions }))).toBe(code),
  );

  test('for billing is refused while the bills are not paid', () => {
    const asked = ask('resume', { cause: 'billing', billingRefusal: unpaid });
    expect(refuseOperation(asked, facts({ suspensions: ['billing'] }))).toBe(unpaid);
  });
});

describe('an undo', () => {
  test.each([
    ['within the window is accepted', terminated, undefined],
    ['after it is refused', { ...terminated, isPastUndo: true }, 'terminated'],
    ['of what is purged is refused', { ...terminated, isPurged: true }, 'terminated'],
    ['of an instance that lives is refused', facts(), 'not-allowed'],
    ['of one that was never made is refused', { ...terminated, observedGeneration: 0 }, 'not-allowed'],
    ['beyond the quota is refused', { ...terminated, liveInstances: 5 }, 'quota-exceeded'],
  ] as const)('%s', (_name, of, code) => expect(codeOf(ask('undo'), of)).toBe(code));
});

describe('a purge', () => {
  const past = { ...terminated, isPastUndo: true };
  const unproven = new Failure('backup-required', 'No backup.');
  test.each([
    ['within the window is refused', ask('purge'), terminated, 'not-allowed'],
    ['of an instance that lives is refused', ask('purge'), facts(), 'not-allowed'],
    ['without a proven final backup is refused', ask('purge', { backupRefusal: unproven }), past, 'backup-required'],
    ['after the window is accepted', ask('purge'), past, undefined],
    ['of what is purged is refused', ask('purge'), { ...past, isPurged: true }, 'terminated'],
  ] as const)('%s', (_name, asked, of, code) => expect(codeOf(asked, of)).toBe(code));
});

describe('a backup', () => {
  test.each([
    ['of a running instance is accepted', ask('backup'), facts(), undefined],
    ['of a stopped one is accepted', ask('backup'), facts({ desiredState: 'stopped' }), undefined],
    ['of a suspended one is accepted', ask('backup'), facts({ suspensions: ['billing', 'abuse'] }), undefined],
    ['of one that was never made is refused', ask('backup'), facts({ observedGeneration: 0 }), 'not-allowed'],
    ['of a terminated one is refused', ask('backup'), terminated, 'terminated'],
    ['of a terminated one is accepted as its final one', ask('backup', { isFinal: true }), terminated, undefined],
    ['is no final one while the instance lives', ask('backup', { isFinal: true }), facts(), 'not-allowed'],
    ['of what is purged is refused', ask('backup', { isFinal: true }), { ...terminated, isPurged: true }, 'terminated'],
  ] as const)('%s', (_name, asked, of, code) => expect(codeOf(asked, of)).toBe(code));
});

test('backups are verified whatever has become of their instance', () => {
  expect(codeOf(ask('verify'), { ...terminated, isPurged: true })).toBeUndefined();
});

test('a second termination has nothing to do, and says so', () => {
  expect(codeOf(ask('terminate'), facts())).toBeUndefined();
  expect(codeOf(ask('terminate'), terminated)).toBe('terminated');
});

test('what a purged instance is asked for by a repair is refused, not what a terminated one is', () => {
  expect(codeOf(ask('repair'), terminated)).toBeUndefined();
  expect(codeOf(ask('repair'), { ...terminated, isPurged: true })).toBe('terminated');
});

test('of an instance that is not there only its id is said', () => {
  expect(unknownInstance('abcdefgh2345').message).toBe('There is no instance abcdefgh2345.');
});
