import { describe, expect, test } from 'vitest';
import { decidePods, rollingLimits, sortPods } from './deployment-decision.ts';
import { deploymentStatus, nextStatusChangeMs } from './deployment-status.ts';
import { conditionOf, type Deployment, type Pod } from './objects.ts';
import { templateHash, templateHashLabel } from './pod-template.ts';

const now = Date.parse('2026-01-01T00:10:00Z');
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image: 'i' }] } };
const current = templateHash(template);

function deployment(spec: Partial<Deployment['spec']> = {}, status?: Deployment['status']): Deployment {
  return {
    metadata: { name: 'web', uid: 'u1', generation: 4 },
    spec: { replicas: 1, template, ...spec },
    ...(status ? { status } : {}),
  };
}

type PodOptions = {
  hash?: string;
  ready?: boolean;
  deleting?: boolean;
  phase?: 'Running' | 'Failed';
  readyAt?: string;
};
let count = 0;
function pod({ hash = current, ready = true, deleting = false, phase = 'Running', readyAt }: PodOptions = {}): Pod {
  count += 1;
  const lastTransitionTime = readyAt ?? '2026-01-01T00:00:00Z';
  return {
    metadata: {
      name: `web-${count}`,
      creationTimestamp: `2026-01-01T00:00:${String(count % 60).padStart(2, '0')}Z`,
      labels: { [templateHashLabel]: hash },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid: 'u1' }],
      ...(deleting ? { deletionTimestamp: '2026-01-01T00:09:00Z' } : {}),
    },
    spec: template.spec,
    status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime }] },
  };
}

const decide = (object: Deployment, pods: Pod[]) => {
  const { create, remove } = decidePods(object, sortPods(object, pods), now);
  return { create, remove: remove.map(({ metadata }) => metadata.name) };
};
const names = (...pods: Pod[]) => pods.map(({ metadata }) => metadata.name);

describe('the pods of a Deployment', () => {
  test('are made up to the replicas, and another owner’s are not counted', () => {
    const foreign = pod();
    foreign.metadata.ownerReferences = [];
    expect(decide(deployment({ replicas: 3 }), [pod(), foreign])).toEqual({ create: 2, remove: [] });
  });

  test('too many: unready ones go first, then the youngest', () => {
    const [oldest, youngest, unready] = [pod(), pod(), pod({ ready: false })];
    expect(decide(deployment({ replicas: 1 }), [oldest, unready, youngest]).remove).toEqual(names(unready, youngest));
  });

  test('that ended by themselves are removed and replaced', () => {
    const failed = pod({ phase: 'Failed', ready: false });
    expect(decide(deployment(), [failed])).toEqual({ create: 1, remove: names(failed) });
  });

  test('of Recreate are all removed before a new one is made, also those still ending', () => {
    const recreate = deployment({ strategy: { type: 'Recreate' } });
    const old = pod({ hash: 'old' });
    expect(decide(recreate, [old])).toEqual({ create: 0, remove: names(old) });
    expect(decide(recreate, [pod({ hash: 'old', deleting: true })])).toEqual({ create: 0, remove: [] });
    expect(decide(recreate, [])).toEqual({ create: 1, remove: [] });
  });

  test('of a rolling update get one more before a serving one goes', () => {
    const old = pod({ hash: 'old' });
    expect(decide(deployment(), [old])).toEqual({ create: 1, remove: [] });
    const unready = pod({ ready: false });
    expect(decide(deployment(), [old, unready])).toEqual({ create: 0, remove: [] });
    expect(decide(deployment(), [old, pod()])).toEqual({ create: 0, remove: names(old) });
  });

  test('of a rolling update that never served go at once', () => {
    const broken = pod({ hash: 'old', ready: false });
    const fresh = pod();
    expect(decide(deployment(), [broken, fresh]).remove).toEqual(names(broken));
  });

  test('of a rolling update are available only after minReadySeconds', () => {
    const [old, fresh] = [pod({ hash: 'old' }), pod({ readyAt: '2026-01-01T00:09:58Z' })];
    expect(decide(deployment({ minReadySeconds: 5 }), [old, fresh]).remove).toEqual([]);
    expect(decide(deployment({ minReadySeconds: 2 }), [old, fresh]).remove).toEqual(names(old));
  });

  test('a rolling update always ends with the new pods only and is never below its minimum on the way', () => {
    for (const replicas of [1, 2, 3, 5, 8]) {
      const object = deployment({ replicas });
      const minimum = replicas - rollingLimits(object).maxUnavailable;
      let pods = Array.from({ length: replicas }, () => pod({ hash: 'old' }));
      for (let round = 0; round < 40; round += 1) {
        const { create, remove } = decide(object, pods);
        pods = pods.filter(({ metadata }) => !remove.includes(metadata.name));
        expect(pods.length).toBeGreaterThanOrEqual(minimum);
        pods.push(...Array.from({ length: create }, () => pod()));
        expect(pods.length).toBeLessThanOrEqual(replicas + rollingLimits(object).maxSurge);
      }
      expect(pods.map(({ metadata }) => metadata.labels?.[templateHashLabel])).toEqual(Array(replicas).fill(current));
    }
  });
});

test('percentages round the surge up and the unavailable down, and both zero still move', () => {
  const limits = (replicas: number, rollingUpdate = {}) =>
    rollingLimits(deployment({ replicas, strategy: { type: 'RollingUpdate', rollingUpdate } }));
  expect(limits(1)).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  expect(limits(10)).toEqual({ maxSurge: 3, maxUnavailable: 2 });
  expect(limits(4, { maxSurge: 0, maxUnavailable: 0 })).toEqual({ maxSurge: 0, maxUnavailable: 1 });
});

describe('the status of a Deployment', () => {
  const status = (object: Deployment, pods: Pod[], at = now) => deploymentStatus(object, sortPods(object, pods), at);
  const progressing = (s: Deployment['status']) => conditionOf(s?.conditions, 'Progressing');

  test('counts, and leaves out zeros', () => {
    const object = deployment({ replicas: 3 });
    const seen = status(object, [pod(), pod({ ready: false }), pod({ hash: 'old' }), pod({ deleting: true })]);
    expect(seen).toMatchObject({
      observedGeneration: 4,
      replicas: 3,
      updatedReplicas: 2,
      readyReplicas: 2,
      availableReplicas: 2,
      unavailableReplicas: 1,
    });
    expect(status(deployment({ replicas: 0 }), [])).not.toHaveProperty('replicas');
  });

  test('goes from created over updated to available, and stays there when a pod fails later', () => {
    const created = status(deployment(), []);
    expect(progressing(created)).toMatchObject({ status: 'True', reason: 'NewReplicaSetCreated' });
    const updated = status(deployment({}, created), [pod({ ready: false })]);
    expect(progressing(updated)).toMatchObject({ status: 'True', reason: 'ReplicaSetUpdated' });
    expect(conditionOf(updated.conditions, 'Available')).toMatchObject({ status: 'False' });
    const complete = status(deployment({}, updated), [pod()]);
    expect(progressing(complete)).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
    expect(conditionOf(complete.conditions, 'Available')).toMatchObject({ reason: 'MinimumReplicasAvailable' });
    const later = status(deployment({}, complete), [pod({ ready: false })], now + 3_600_000);
    expect(progressing(later)).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
    expect(conditionOf(later.conditions, 'Available')).toMatchObject({ reason: 'MinimumReplicasUnavailable' });
  });

  test('tells ProgressDeadlineExceeded when nothing moved for that long, and recovers', () => {
    const object = (s: Deployment['status']) => deployment({ progressDeadlineSeconds: 60 }, s);
    const stuck = [pod({ ready: false })];
    const first = status(object(undefined), stuck);
    const waiting = status(object(first), stuck, now + 59_000);
    expect(progressing(waiting)).toMatchObject({ status: 'True' });
    expect(nextStatusChangeMs(object(waiting), sortPods(object(waiting), stuck), now)).toBe(now + 60_000);
    const late = status(object(waiting), stuck, now + 60_000);
    expect(progressing(late)).toMatchObject({ status: 'False', reason: 'ProgressDeadlineExceeded' });
    const recovered = status(object(late), [pod()], now + 70_000);
    expect(progressing(recovered)).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
  });

  test('is the same when nothing happened, so that nothing is written', () => {
    const pods = [pod()];
    const first = status(deployment(), pods);
    const second = status(deployment({}, first), pods, now + 1_000);
    expect(status(deployment({}, second), pods, now + 9_000)).toEqual(second);
  });

  test('starts anew with another template', () => {
    const complete = status(deployment({}, status(deployment(), [pod()])), [pod()]);
    const changed = { ...template, metadata: { labels: { app: 'web', v: '2' } } };
    expect(progressing(status(deployment({ template: changed }, complete), []))).toMatchObject({
      reason: 'NewReplicaSetCreated',
    });
  });
});

test('a template’s hash ignores the order of fields and follows every value', () => {
  const reordered = { spec: template.spec, metadata: template.metadata };
  expect(templateHash(reordered)).toBe(current);
  expect(templateHash({ ...template, metadata: { labels: { app: 'x' } } })).not.toBe(current);
});
