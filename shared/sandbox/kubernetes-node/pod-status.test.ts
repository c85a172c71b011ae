import { describe, expect, test } from 'vitest';
import { openBackOff } from './back-off.ts';
import { type ContainerRecord, newContainerRecord, terminatedState } from './container-state.ts';
import { leftoverFate } from './leftovers.ts';
import { conditionOf, type Pod, type PodSpec } from './objects.ts';
import { openPodAddresses } from './pod-addresses.ts';
import { podStatus } from './pod-status.ts';
import { generatedName } from './pod-template.ts';

const now = Date.parse('2026-01-01T00:00:10Z');
const pod = (restartPolicy: PodSpec['restartPolicy'], status?: Pod['status']): Pod => ({
  metadata: { name: 'p', uid: 'u' },
  spec: { containers: [], ...(restartPolicy ? { restartPolicy } : {}) },
  ...(status ? { status } : {}),
});
const container = (change: (record: ContainerRecord) => void = () => undefined, isInit = false): ContainerRecord => {
  const record = newContainerRecord({ name: isInit ? 'init' : 'main', image: 'i' }, isInit);
  change(record);
  return record;
};
const running = () => container((one) => Object.assign(one, { run: 1, state: { running: { startedAt: 'x' } } }));
const exited = (code: number, isInit = false) =>
  container((one) => {
    one.run = 1;
    one.state = terminatedState({ code, signal: null }, { startedAtMs: now, nowMs: now });
  }, isInit);
const backingOff = () =>
  container((one) => {
    one.lastState = exited(1).state;
    one.state = { waiting: { reason: 'CrashLoopBackOff' } };
  });
const status = (object: Pod, main: ContainerRecord[], { init = [] as ContainerRecord[], hasEnded = false } = {}) =>
  podStatus(object, { podIP: '127.1.2.3', startedAtMs: now, init, main, hasEnded }, now);

describe('a pod is', () => {
  test.each([
    ['Pending', 'Always', [container()], []],
    ['Pending', 'Always', [container()], [exited(1, true)]],
    ['Failed', 'Never', [container()], [exited(1, true)]],
    ['Running', 'Always', [running()], [exited(0, true)]],
    ['Running', 'Always', [backingOff()], []],
    ['Running', 'Always', [exited(0)], []],
    ['Succeeded', 'Never', [exited(0)], []],
    ['Failed', 'Never', [exited(0), exited(2)], []],
    ['Running', 'Never', [running(), exited(2)], []],
    ['Running', 'OnFailure', [exited(2)], []],
    ['Succeeded', 'OnFailure', [exited(0)], []],
  ] as const)('%s under policy %s', (phase, policy, main, init) => {
    expect(status(pod(policy), [...main], { init: [...init] }).phase).toBe(phase);
  });

  test('at its end failed unless all containers succeeded, whatever its policy', () => {
    expect(status(pod('Always'), [exited(143)], { hasEnded: true }).phase).toBe('Failed');
    expect(status(pod('Always'), [exited(0)], { hasEnded: true }).phase).toBe('Succeeded');
  });
});

describe('a pod’s conditions', () => {
  test('name the containers that are not ready and keep their time while they stay the same', () => {
    const first = status(pod('Always'), [container()]);
    expect(conditionOf(first.conditions, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [main]',
      lastTransitionTime: '2026-01-01T00:00:10Z',
    });
    const later = podStatus(
      pod('Always', first),
      { podIP: '127.1.2.3', startedAtMs: now, init: [], main: [container()], hasEnded: false },
      now + 5_000,
    );
    expect(later).toEqual(first);
    expect(conditionOf(status(pod('Always'), [running()]).conditions, 'Ready')).toMatchObject({ status: 'True' });
  });

  test('a container is ready only after its startup probe and its readiness probe', () => {
    const probed = running();
    probed.container = { ...probed.container, startupProbe: {}, readinessProbe: {} };
    const flags = () =>
      status(pod('Always'), [probed]).containerStatuses?.map(({ started, ready }) => [started, ready]);
    expect(flags()).toEqual([[false, false]]);
    probed.isReady = true;
    expect(flags()).toEqual([[false, false]]);
    probed.hasStartedUp = true;
    expect(flags()).toEqual([[true, true]]);
  });
});

test('an exit by a signal has the code 128 and the signal’s number', () => {
  const state = terminatedState({ code: null, signal: 'SIGKILL' }, { startedAtMs: now, nowMs: now });
  expect(state.terminated).toMatchObject({ exitCode: 137, signal: 9, reason: 'Error' });
});

test('restarts wait not at all, then 10 s, doubling up to 5 minutes, and anew after 10 healthy minutes', () => {
  const backOff = openBackOff();
  const delays = [0, 1, 2, 3, 4, 5, 6, 7].map(() => backOff.next(now));
  expect(delays).toEqual([0, 10, 20, 40, 80, 160, 300, 300].map((seconds) => seconds * 1000));
  expect(backOff.next(now + 300_000 + 600_001)).toBe(0);
});

test('addresses lie in 127.0.0.0/8, outside 127.0.0.0/16, and are not given twice', () => {
  const draws = [0, 0, 0, 0, 0, 0, 253, 255, 253];
  const addresses = openPodAddresses(() => draws.shift() ?? 0);
  expect([addresses.take(), addresses.take()]).toEqual(['127.1.0.1', '127.254.255.254']);
  addresses.release('127.1.0.1');
  expect(addresses.take()).toBe('127.1.0.1');
});

test('a generated name keeps its random part and fits into 63 bytes', () => {
  const name = generatedName('x'.repeat(80), Uint8Array.of(0, 1, 2, 3, 4));
  expect(name).toBe(`${'x'.repeat(58)}bcdfg`);
  expect(generatedName('web', Uint8Array.of(26, 27, 0, 0, 0))).toBe('web-9bbbb');
});

describe('a pod of a former node', () => {
  const ran = { startTime: '2026-01-01T00:00:00Z', phase: 'Running' as const };
  test('is removed where it is made anew, failed where a Job counts it, and kept at rest or before its start', () => {
    expect(leftoverFate(pod('Always', ran))).toBe('remove');
    expect(leftoverFate(pod('Never', ran))).toBe('fail');
    expect(leftoverFate(pod('Never', { ...ran, phase: 'Succeeded' }))).toBe('keep');
    expect(leftoverFate(pod('Always'))).toBe('keep');
    const deleting = pod('Never', ran);
    deleting.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    expect(leftoverFate(deleting)).toBe('remove');
  });
});
