import { access, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { container, deployment, job, namespace, startTestCluster, type TestCluster, until } from './cluster.fixture.ts';
import {
  conditionOf,
  configMaps,
  deployments,
  isPodReady,
  jobs,
  type Pod,
  persistentVolumeClaims,
  secrets,
} from './objects.ts';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());

type Answer = { env: Record<string, string>; argv: string[]; file?: string; uid: number; groups: number[] };
const ask = (pod: Pod): Promise<Answer> =>
  // Without a readiness probe a pod is ready before its program listens.
  until(`an answer of ${pod.metadata.name}`, async () => {
    const response = await fetch(`http://${pod.status?.podIP}:8080/`);
    return (await response.json()) as Answer;
  });

describe('a pod', () => {
  test('sees its variables and the files of its volumes', async () => {
    await cluster.client.create(secrets, namespace, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'settings' },
      data: {
        password: Buffer.from('s3cret').toString('base64'),
        'app.conf': Buffer.from('data_dir = /data/files').toString('base64'),
      },
    });
    await cluster.client.create(persistentVolumeClaims, namespace, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    const main = container({
      args: ['serve', '$(POD_IP)', '8080', '/etc/app/app.conf'],
      env: [
        ...(container().env ?? []),
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'settings', key: 'password' } } },
        { name: 'URL', value: 'user:$(PASSWORD)@$(UNKNOWN)' },
      ],
      volumeMounts: [
        { name: 'settings', mountPath: '/etc/app' },
        { name: 'data', mountPath: '/data' },
      ],
    });
    const volumes = [
      { name: 'settings', secret: { secretName: 'settings', defaultMode: 0o440 } },
      { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
    ];
    const podSpec = { volumes, securityContext: { runAsUser: 12345, fsGroup: 12345, runAsNonRoot: true } };
    await cluster.create(deployment('configured', main, { podSpec }));
    const seen = await ask(await cluster.readyPod('configured'));
    expect(seen.env).toMatchObject({ PASSWORD: 's3cret', URL: 'user:s3cret@$(UNKNOWN)' });
    const claims = join(cluster.folder, 'node/claims');
    const [claim = ''] = await readdir(claims);
    expect(seen.file).toBe(`data_dir = ${join(claims, claim)}/files`);
    expect(seen.env['TZ']).toBeUndefined();
    const log = await readFile(join(cluster.folder, 'node/logs', seen.env['HOSTNAME'] ?? '', 'main.log'), 'utf8');
    // Only root may start others' processes, and only where those users can reach the program.
    const isApplied = process.getuid?.() === 0 && !log.includes("running as the node's own user");
    expect(seen.uid).toBe(isApplied ? 12345 : process.getuid?.());
    const bound = await cluster.client.get(persistentVolumeClaims, namespace, 'data');
    expect(bound?.status).toMatchObject({ phase: 'Bound', capacity: { storage: '1Gi' } });

    await cluster.client.delete(deployments, { namespace, name: 'configured' });
    await cluster.client.delete(persistentVolumeClaims, { namespace, name: 'data' });
    await until('the claim folder to go', async () => (await readdir(claims)).length === 0);
    expect(await access(join(cluster.folder, 'node/pods')).then(() => true)).toBe(true);
  });

  test('waits for a Secret that is not there yet and starts when it is', async () => {
    const reference = { name: 'late', key: 'value' };
    const env = [...(container().env ?? []), { name: 'LATE', valueFrom: { secretKeyRef: reference } }];
    await cluster.create(deployment('waiting', container({ env })));
    const waiting = await until('the reason', async () => {
      const [pod] = await cluster.podsOf('waiting');
      return pod?.status?.containerStatuses?.[0]?.state.waiting?.message ? pod : undefined;
    });
    expect(waiting.status?.containerStatuses?.[0]?.state.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'secret "late" not found',
    });
    await cluster.client.create(secrets, namespace, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'late' },
      data: { value: Buffer.from('now').toString('base64') },
    });
    expect((await ask(await cluster.readyPod('waiting'))).env['LATE']).toBe('now');
    await cluster.client.delete(deployments, { namespace, name: 'waiting' });
  });

  test('of an unknown image says so', async () => {
    await cluster.create(deployment('unknown', container({ image: 'nowhere/nothing:1' })));
    const reasons = new Set<string>();
    await until('both reasons', async () => {
      const [pod] = await cluster.podsOf('unknown');
      reasons.add(pod?.status?.containerStatuses?.[0]?.state.waiting?.reason ?? '');
      return reasons.has('ErrImagePull') && reasons.has('ImagePullBackOff');
    });
    await cluster.client.delete(deployments, { namespace, name: 'unknown' });
  });

  test('is restarted at once after the first crash and then backs off', async () => {
    await cluster.create(deployment('crashing', container({ args: ['exit', '3'] })));
    const pod = await until('the back-off', async () => {
      const [found] = await cluster.podsOf('crashing');
      return found?.status?.containerStatuses?.[0]?.state.waiting?.reason === 'CrashLoopBackOff' && found;
    });
    const [status] = pod.status?.containerStatuses ?? [];
    expect(status).toMatchObject({ restartCount: 1, ready: false, lastState: { terminated: { exitCode: 3 } } });
    expect(pod.status?.phase).toBe('Running');
    await cluster.client.delete(deployments, { namespace, name: 'crashing' });
  });

  test('is restarted by its liveness probe and is ready only after its startup probe', async () => {
    const unhealthyFile = join(cluster.folder, 'unhealthy');
    const probe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };
    const main = container({
      env: [...(container().env ?? []), { name: 'UNHEALTHY_FILE', value: unhealthyFile }],
      startupProbe: { ...probe, failureThreshold: 30 },
      livenessProbe: { ...probe, failureThreshold: 2 },
      readinessProbe: probe,
    });
    await cluster.create(deployment('probed', main));
    const first = await cluster.readyPod('probed');
    expect(first.status?.containerStatuses?.[0]).toMatchObject({ ready: true, started: true, restartCount: 0 });
    await writeFile(unhealthyFile, '');
    await until('a restart', async () => {
      const [pod] = await cluster.podsOf('probed');
      const [status] = pod?.status?.containerStatuses ?? [];
      return status?.restartCount === 1 && status.ready === false && status.started === false;
    });
    await rm(unhealthyFile);
    expect((await cluster.readyPod('probed')).metadata.name).toBe(first.metadata.name);
    await cluster.client.delete(deployments, { namespace, name: 'probed' });
  });
});

describe('init containers', () => {
  test('run in order before the others and hand over files by a volume and its subPath', async () => {
    const mount = { name: 'shared', mountPath: '/shared', subPath: 'made/here' };
    const write = (name: string, text: string) =>
      container({ name, args: ['write', `/shared/file`, text], volumeMounts: [mount] });
    const main = container({ args: ['serve', '$(POD_IP)', '8080', '/shared/file'], volumeMounts: [mount] });
    const podSpec = {
      initContainers: [write('one', '1'), write('two', '2')],
      volumes: [{ name: 'shared', emptyDir: {} }],
    };
    await cluster.create(deployment('prepared', main, { podSpec }));
    const pod = await cluster.readyPod('prepared');
    expect((await ask(pod)).file).toBe('2');
    expect(pod.status?.initContainerStatuses?.map(({ state }) => state.terminated?.reason)).toEqual([
      'Completed',
      'Completed',
    ]);
    await cluster.client.delete(deployments, { namespace, name: 'prepared' });
  });
});

describe('a sidecar', () => {
  const serving = container({ name: 'beside', args: ['serve', '$(POD_IP)', '8080', '/shared/file'] });
  const mount = { name: 'shared', mountPath: '/shared' };
  const podSpec = (main: ReturnType<typeof container>, sidecar: Partial<typeof serving> = {}) => ({
    initContainers: [
      container({ name: 'before', args: ['write', '/shared/file', 'made'], volumeMounts: [mount] }),
      { ...serving, volumeMounts: [mount], restartPolicy: 'Always' as const, ...sidecar },
    ],
    volumes: [{ name: 'shared', emptyDir: {} }],
    containers: [main],
  });
  const run = async (name: string, spec: ReturnType<typeof podSpec>) => {
    const [main] = spec.containers;
    const template = { template: { spec: { ...spec, restartPolicy: 'Never' as const } }, backoffLimit: 0 };
    await cluster.client.create(jobs, namespace, job(name, main ?? serving, template));
    return await until('the Job to end', async () => {
      const found = await cluster.client.get(jobs, namespace, name);
      return found?.status?.conditions?.find(({ status }) => status === 'True')?.type;
    });
  };

  test('serves the containers that follow it, and ends after them with the Job', async () => {
    const asking = container({ args: ['ask', '$(POD_IP)', '8080'] });
    expect(await run('accompanied', podSpec(asking))).toMatch(/Complete|SuccessCriteriaMet/);
    const [pod] = await cluster.jobPods('accompanied');
    expect(pod?.status?.phase).toBe('Succeeded');
    expect(
      pod?.status?.initContainerStatuses?.map(({ name, state }) => [name, state.terminated !== undefined]),
    ).toEqual([
      ['before', true],
      ['beside', true],
    ]);
  });

  test('that ends is begun again; how it ends is not how the Job ends', async () => {
    const failing = { args: ['exit', '3'], volumeMounts: [] };
    expect(await run('alone', podSpec(container({ args: ['exit', '0'] }), failing))).toMatch(
      /Complete|SuccessCriteria/,
    );
    const bad = container({ args: ['exit', '4', 'why'], terminationMessagePolicy: 'FallbackToLogsOnError' });
    expect(await run('judged', podSpec(bad))).toMatch(/Failed|FailureTarget/);
    const [pod] = await cluster.jobPods('judged');
    expect(pod?.status?.containerStatuses?.[0]?.state.terminated).toMatchObject({ exitCode: 4, message: 'why\n' });
  });
});

test('a restarted node makes the pods of the former one anew and fails those of Jobs', async () => {
  await cluster.create(deployment('lasting', container()));
  const main = container({ args: ['sleep'] });
  await cluster.client.create(jobs, namespace, job('cut', main, { backoffLimit: 0 }));
  await until('the job to be active', async () => (await cluster.jobPods('cut'))[0]?.status?.phase === 'Running');
  const before = await cluster.readyPod('lasting');
  await cluster.restartNode();
  const after = await until('another pod', async () =>
    (await cluster.podsOf('lasting')).find((pod) => isPodReady(pod) && pod.metadata.name !== before.metadata.name),
  );
  expect((await ask(after)).env['HOSTNAME']).toBe(after.metadata.name);
  expect(await cluster.podsOf('lasting')).toHaveLength(1);
  await until('the job to fail', async () => {
    const found = await cluster.client.get(jobs, namespace, 'cut');
    return conditionOf(found?.status?.conditions, 'Failed')?.reason === 'BackoffLimitExceeded';
  });
  expect((await cluster.jobPods('cut'))[0]?.status).toMatchObject({ phase: 'Failed', reason: 'Terminated' });
  await cluster.client.delete(deployments, { namespace, name: 'lasting' });
});

// Mount namespaces and chroot need root.
describe.skipIf(process.getuid?.() !== 0)('a container with a root file system of its own (as root only)', () => {
  test('runs as its user, sees its volumes at their mount paths and writes nothing into the shared root', async () => {
    await cluster.client.create(configMaps, namespace, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'greeting' },
      data: { 'hello.txt': 'hello' },
    });
    const main = container({
      image: 'program-in-root',
      args: ['serve', '$(POD_IP)', '8080', '/not/there/before/hello.txt'],
      volumeMounts: [
        { name: 'greeting', mountPath: '/not/there/before', readOnly: true },
        { name: 'work', mountPath: '/also/not/there' },
      ],
      workingDir: '/also/not/there',
      securityContext: { readOnlyRootFilesystem: true },
      readinessProbe: {
        exec: { command: ['sh', '-c', 'test -r /not/there/before/hello.txt && : >probed && ! touch /tmp/x 2>&1'] },
        periodSeconds: 1,
      },
    });
    const volumes = [
      { name: 'greeting', configMap: { name: 'greeting' } },
      { name: 'work', emptyDir: {} },
    ];
    await cluster.create(deployment('rooted', main, { podSpec: { volumes, securityContext: { fsGroup: 2000 } } }));
    const pod = await cluster.readyPod('rooted');
    const seen = await ask(pod);
    expect(seen).toMatchObject({ uid: 12345, file: 'hello', argv: expect.arrayContaining([pod.status?.podIP]) });
    expect(seen.groups).toContain(2000);
    expect(seen.env).not.toHaveProperty('TZ');
    expect(Object.keys(seen.env).sort()).toEqual(['HOSTNAME', 'PATH', 'POD_IP']);
    await expect(access('/not')).rejects.toThrow('ENOENT');
    await cluster.client.delete(deployments, { namespace, name: 'rooted' });
    await until('the pod to go', async () => (await cluster.podsOf('rooted')).length === 0);
    expect(await readFile('/proc/mounts', 'utf8')).not.toContain(cluster.folder);
  });
});
