import { describe, expect, test } from 'vitest';
import { decideJob } from './job-decision.ts';
import { conditionOf, type Job, type Pod, type PodPhase, timestamp } from './objects.ts';

const now = Date.parse('2026-01-01T00:10:00Z');

function job(spec: Partial<Job['spec']> = {}, status: Job['status'] = {}): Job {
  const template = { spec: { containers: [{ name: 'main', image: 'i' }], restartPolicy: 'Never' as const } };
  return { metadata: { name: 'work', uid: 'j1' }, spec: { template, ...spec }, status };
}

let count = 0;
function pod(phase: PodPhase, { endedMs = now - 60_000, restarts = 0, deleting = false } = {}): Pod {
  count += 1;
  const finishedAt = timestamp(endedMs);
  const terminated = { exitCode: 1, reason: 'Error', startedAt: finishedAt, finishedAt };
  const isDone = phase === 'Failed' || phase === 'Succeeded';
  const main = { name: 'main', image: 'i', imageID: '', ready: false, started: false, restartCount: restarts };
  return {
    metadata: {
      name: `work-${count}`,
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'work', uid: 'j1' }],
      ...(deleting ? { deletionTimestamp: timestamp(now) } : {}),
    },
    spec: { containers: [] },
    status: { phase, containerStatuses: [{ ...main, state: isDone ? { terminated } : {}, lastState: {} }] },
  };
}
const end = (status: Job['status']) =>
  status?.conditions
    ?.filter(({ type }) => type === 'Complete' || type === 'Failed')
    .map(({ type, reason }) => [type, reason]);

describe('a Job', () => {
  test('starts one pod and its time', () => {
    const decision = decideJob(job(), [], now);
    expect(decision).toMatchObject({ create: 1, remove: [], isExpired: false });
    expect(decision.status).toMatchObject({ active: 1, startTime: '2026-01-01T00:10:00Z' });
  });

  test('keeps to its parallelism and its completions', () => {
    const spec = { parallelism: 2, completions: 3 };
    expect(decideJob(job(spec), [pod('Running')], now).create).toBe(1);
    expect(decideJob(job(spec), [pod('Succeeded'), pod('Succeeded')], now).create).toBe(1);
    expect(end(decideJob(job(spec), [pod('Succeeded'), pod('Succeeded'), pod('Succeeded')], now).status)).toEqual([
      ['Complete', 'CompletionsReached'],
    ]);
  });

  test('waits 10 s after the first failure, 20 s after the second', () => {
    const once = decideJob(job(), [pod('Failed', { endedMs: now - 9_000 })], now);
    expect(once).toMatchObject({ create: 0, nextAtMs: now + 1_000, status: { failed: 1 } });
    expect(decideJob(job(), [pod('Failed', { endedMs: now - 10_000 })], now).create).toBe(1);
    const twice = [pod('Failed'), pod('Failed', { endedMs: now - 19_000 })];
    expect(decideJob(job(), twice, now)).toMatchObject({ create: 0, nextAtMs: now + 1_000 });
  });

  test('fails when more pods failed than its limit, which is 6 unless stated', () => {
    const failed = (n: number) => Array.from({ length: n }, () => pod('Failed'));
    expect(end(decideJob(job({ backoffLimit: 0 }), failed(1), now).status)).toEqual([
      ['Failed', 'BackoffLimitExceeded'],
    ]);
    expect(end(decideJob(job(), failed(6), now).status)).toBeUndefined();
    expect(end(decideJob(job(), failed(7), now).status)).toEqual([['Failed', 'BackoffLimitExceeded']]);
  });

  test('of restart policy OnFailure counts restarts and stops its pod', () => {
    const template = { spec: { containers: [], restartPolicy: 'OnFailure' as const } };
    const running = pod('Running', { restarts: 2 });
    expect(end(decideJob(job({ template, backoffLimit: 3 }), [running], now).status)).toBeUndefined();
    const decision = decideJob(job({ template, backoffLimit: 2 }), [running], now);
    expect(end(decision.status)).toEqual([['Failed', 'BackoffLimitExceeded']]);
    expect(decision.remove).toEqual([running]);
  });

  test('fails at its deadline, removes what runs, and wakes for it', () => {
    const started = { startTime: '2026-01-01T00:09:00Z' };
    const running = pod('Running');
    expect(decideJob(job({ activeDeadlineSeconds: 61 }, started), [running], now).nextAtMs).toBe(now + 1_000);
    const decision = decideJob(job({ activeDeadlineSeconds: 60 }, started), [running], now);
    expect(end(decision.status)).toEqual([['Failed', 'DeadlineExceeded']]);
    expect(decision.remove).toEqual([running]);
    expect(conditionOf(decision.status.conditions, 'FailureTarget')?.status).toBe('True');
    expect(decision.status).not.toHaveProperty('active');
  });

  test('does not forget what failed when the pods are gone', () => {
    expect(decideJob(job({}, { failed: 3 }), [], now).status.failed).toBe(3);
  });

  test('replaces a pod that is being deleted', () => {
    expect(decideJob(job(), [pod('Running', { deleting: true })], now).create).toBe(1);
  });

  test('that has ended is left alone until its time to live is over', () => {
    const ended = decideJob(job(), [pod('Succeeded')], now - 5_000).status;
    expect(ended.completionTime).toBe('2026-01-01T00:09:55Z');
    expect(decideJob(job({}, ended), [], now)).toEqual({ create: 0, remove: [], status: ended, isExpired: false });
    expect(decideJob(job({ ttlSecondsAfterFinished: 6 }, ended), [], now).nextAtMs).toBe(now + 1_000);
    expect(decideJob(job({ ttlSecondsAfterFinished: 5 }, ended), [], now).isExpired).toBe(true);
  });
});
