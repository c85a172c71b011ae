import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { container, deployment, job, namespace, startTestCluster, type TestCluster, until } from './cluster.fixture.ts';
import { conditionOf, deployments, isPodReady, jobs } from './objects.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());

const isGone = (url: string) =>
  fetch(url).then(
    () => false,
    () => true,
  );

describe('a Deployment', () => {
  test('becomes available with the status the real controller reports, and goes with all its processes', async () => {
    const probe = { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 1 };
    await cluster.create(
      deployment('web', container({ ports: [{ name: 'http', containerPort: 8080 }], readinessProbe: probe })),
    );
    const pod = await cluster.readyPod('web');
    const ready = await until('the deployment to be available', async () => {
      const found = await cluster.client.get(deployments, namespace, 'web');
      return conditionOf(found?.status?.conditions, 'Progressing')?.reason === 'NewReplicaSetAvailable' && found;
    });
    expect(ready.status).toMatchObject({ observedGeneration: 1, replicas: 1, readyReplicas: 1, availableReplicas: 1 });
    expect(ready.status?.unavailableReplicas).toBeUndefined();
    expect(pod.metadata.name).toMatch(/^web-[a-z0-9]{10}-[a-z0-9]{5}$/);
    expect(pod.status?.podIP).toMatch(/^127\.(?!0\.)/);

    await cluster.client.delete(deployments, { namespace, name: 'web' });
    await until('the pods to go', async () => (await cluster.podsOf('web')).length === 0);
    expect(await isGone(`http://${pod.status?.podIP}:8080/`)).toBe(true);
    const log = await readFile(join(cluster.folder, 'node/logs', pod.metadata.name, 'main.log'), 'utf8');
    expect(log).toContain('asked to end');
  });

  test('of strategy Recreate never runs an old and a new pod at once', async () => {
    await cluster.create(deployment('once', container(), { strategy: { type: 'Recreate' } }));
    const old = await cluster.readyPod('once');
    let most = 0;
    await cluster.client.patch(
      deployments,
      { namespace, name: 'once' },
      {
        spec: { template: { metadata: { annotations: { restarted: 'yes' } } } },
      },
    );
    const fresh = await until('the new pod', async () => {
      const now = await cluster.podsOf('once');
      most = Math.max(most, now.length);
      return now.find((pod) => isPodReady(pod) && pod.metadata.name !== old.metadata.name);
    });
    expect(most).toBe(1);
    expect(fresh.metadata.annotations).toEqual({ restarted: 'yes' });
    await cluster.client.delete(deployments, { namespace, name: 'once' });
  });

  test('is scaled to three and to none', async () => {
    await cluster.create(deployment('scaled', container()));
    const scale = (replicas: number) =>
      cluster.client.patch(deployments, { namespace, name: 'scaled' }, { spec: { replicas } });
    const readyCount = (count: number) =>
      until(`${count} ready pods`, async () => {
        const now = await cluster.podsOf('scaled');
        return now.length === count && now.every(isPodReady);
      });
    await readyCount(1);
    await scale(3);
    await readyCount(3);
    expect(new Set((await cluster.podsOf('scaled')).map((pod) => pod.status?.podIP)).size).toBe(3);
    await scale(0);
    await readyCount(0);
    await cluster.client.delete(deployments, { namespace, name: 'scaled' });
  });

  test('rolls over to a new template without a moment below its minimum', async () => {
    const probe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
    await cluster.create(deployment('rolling', container({ readinessProbe: probe }), { replicas: 2 }));
    const isSettled = async (version: string | undefined) => {
      const now = await cluster.podsOf('rolling');
      return now.length === 2 && now.every((pod) => isPodReady(pod) && pod.metadata.annotations?.['v'] === version);
    };
    await until('two ready pods', () => isSettled(undefined));
    await cluster.client.patch(
      deployments,
      { namespace, name: 'rolling' },
      {
        spec: { template: { metadata: { annotations: { v: '2' } } } },
      },
    );
    let least = 2;
    await until('two new pods', async () => {
      least = Math.min(least, (await cluster.podsOf('rolling')).filter(isPodReady).length);
      return isSettled('2');
    });
    expect(least).toBe(2);
    await cluster.client.delete(deployments, { namespace, name: 'rolling' });
  });
});

describe('a Job', () => {
  const finished = (name: string) =>
    until(`job ${name} to end`, async () => {
      const found = await cluster.client.get(jobs, namespace, name);
      const end = found?.status?.conditions?.find(({ type }) => type === 'Complete' || type === 'Failed');
      return found !== undefined && end !== undefined && { end, status: found.status };
    });

  test('completes, and goes after its time to live with its pod', async () => {
    // long enough to be seen by who looks now and then
    const spec = { ttlSecondsAfterFinished: 4 };
    await cluster.client.create(jobs, namespace, job('done', container({ args: ['exit', '0'] }), spec));
    const { end, status } = await finished('done');
    expect(end).toMatchObject({ type: 'Complete', status: 'True' });
    expect(status).toMatchObject({ succeeded: 1, completionTime: expect.any(String) });
    await until('the job to go', async () => (await cluster.client.get(jobs, namespace, 'done')) === undefined);
    await until('its pod to go', async () => (await cluster.jobPods('done')).length === 0);
  });

  test('fails when its limit of failures is passed', async () => {
    const main = container({ args: ['exit', '1'] });
    await cluster.client.create(jobs, namespace, job('failing', main, { backoffLimit: 0 }));
    const { end, status } = await finished('failing');
    expect(end).toMatchObject({ type: 'Failed', reason: 'BackoffLimitExceeded' });
    expect(status).toMatchObject({ failed: 1 });
  });

  test('whose container asks for it says why in its log’s last lines, and only when it failed', async () => {
    for (const [name, code] of [
      ['saying', '1'],
      ['quiet', '0'],
    ] as const) {
      const asked = { terminationMessagePolicy: 'FallbackToLogsOnError' } as const;
      const main = container({ args: ['exit', code, 'The store is full.'], ...asked });
      await cluster.client.create(jobs, namespace, job(name, main, { backoffLimit: 0 }));
      await finished(name);
      const [pod] = await cluster.jobPods(name);
      const message = pod?.status?.containerStatuses?.[0]?.state.terminated?.message;
      expect(message?.trimEnd().split('\n').at(-1)).toBe(code === '1' ? 'The store is full.' : undefined);
    }
  });

  test('fails at its deadline and its process ends', async () => {
    const main = container({ args: ['sleep'] });
    await cluster.client.create(jobs, namespace, job('late', main, { activeDeadlineSeconds: 1 }));
    expect((await finished('late')).end).toMatchObject({ type: 'Failed', reason: 'DeadlineExceeded' });
    await until('its pod to go', async () => (await cluster.jobPods('late')).length === 0);
  });
});
