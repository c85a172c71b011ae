import { describe, expect, it } from 'vitest';
import {
  desk,
  isOwnCluster,
  obstacle,
  type TestNamespace,
  testNamespace,
  titled,
  titledOnOwn,
  until,
  waitForReady,
} from './cluster.fixture.ts';

describe.skipIf(obstacle !== undefined)(titled('A Knative Service'), () => {
  const namespace = testNamespace('acceptance-serving');
  const hello = () => `http://hello.${namespace().name}.svc.cluster.local/`;

  it('gets ready from an image that was made here', async () => {
    await namespace().kubectl.apply([knativeService('hello', namespace())]);
    await waitForReady(namespace(), ['ksvc/hello']);
  });

  it('is reached by its name, through ingress, activator and queue-proxy', async () => {
    const answer = await namespace().fromPod(hello());
    expect(answer).toMatchObject({ status: 200, body: expect.stringMatching(/^hello from hello-0+1/) as string });
  });

  it('scales to zero and answers from zero', async () => {
    await until('no pod', async () => (await podsOf(namespace(), 'hello')) === 0, { limitMs: 120_000 });
    expect(await namespace().fromPod(hello())).toMatchObject({ status: 200 });
    expect(await podsOf(namespace(), 'hello')).toBe(1);
  });
});

describe.skipIf(obstacle !== undefined)(titled('A pod'), () => {
  const namespace = testNamespace('acceptance-network');

  it('reaches the API server and other pods by their names', async () => {
    const { fromPod, name } = namespace();
    expect(await fromPod(`http://${desk}.${name}.svc.cluster.local/`)).toMatchObject({ status: 200 });
    const answer = await fromPod('https://kubernetes.default.svc.cluster.local/');
    expect(answer.error).toMatch(/CERT|UNABLE_TO|SELF_SIGNED/);
  });

  // Another cluster's network is its owner's business.
  it.skipIf(!isOwnCluster)(titledOnOwn('reaches nothing outside of its machine'), async () => {
    // An address for documentation: it belongs to nobody. The firewall refuses at once; a packet that left would be lost.
    expect(await namespace().fromPod('http://203.0.113.1/', { timeoutMs: 10_000 })).toEqual({ error: 'ECONNREFUSED' });
    const unknown = await namespace().fromPod('http://example.com/', { timeoutMs: 10_000 });
    expect(unknown.error).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });
});

function knativeService(name: string, { image, name: namespace }: TestNamespace): object {
  const container = { image, resources: { requests: { cpu: '10m', memory: '32Mi' } } };
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name, namespace, labels: { 'networking.knative.dev/visibility': 'cluster-local' } },
    spec: { template: { spec: { containers: [container] } } },
  };
}

/** Without those that drain: they get nothing new. */
async function podsOf({ kubectl, name }: TestNamespace, service: string): Promise<number> {
  const selector = `serving.knative.dev/service=${service}`;
  const list = JSON.parse(await kubectl.run(['-n', name, 'get', 'pods', '-l', selector, '-o', 'json'])) as {
    items: { metadata: { deletionTimestamp?: string } }[];
  };
  return list.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
}
