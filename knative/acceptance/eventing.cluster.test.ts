import { describe, expect, it } from 'vitest';
import {
  deskAt,
  type Noted,
  obstacle,
  type TestNamespace,
  testNamespace,
  titled,
  until,
  waitForReady,
} from './cluster.fixture.ts';

const delivery = { retry: 3, backoffPolicy: 'linear', backoffDelay: 'PT0.2S' };

describe.skipIf(obstacle !== undefined)(titled('An event'), () => {
  const namespace = testNamespace('acceptance-eventing');

  it('that is posted to a Broker wakes a function at zero, through a Trigger', async () => {
    const { kubectl, name, image, emit } = namespace();
    const notes = `http://desk.${name}.svc.cluster.local/note/function`;
    const container = { image, env: [{ name: 'NOTES', value: notes }], resources: { requests: { cpu: '10m' } } };
    const subscriber = { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name: 'function' } };
    await kubectl.apply([
      broker(name),
      {
        apiVersion: 'serving.knative.dev/v1',
        kind: 'Service',
        metadata: { name: 'function', namespace: name },
        spec: { template: { spec: { containers: [container] } } },
      },
      trigger('function', { namespace: name, type: 'wanted', subscriber }),
    ]);
    await waitForReady(namespace(), ['broker/default', 'ksvc/function', 'trigger/function']);
    expect(await emit({ type: 'wanted', id: 'one', subject: 'a' })).toBe(202);
    const [event] = await until('the event', () => eventsAt(namespace(), '/note/function', 'one'), { limitMs: 60_000 });
    expect(event?.headers).toMatchObject({ 'ce-type': 'wanted', 'ce-source': '/acceptance', 'ce-subject': 'a' });
  });

  it('of another type is not delivered', async () => {
    const { emit } = namespace();
    expect(await emit({ type: 'unwanted', id: 'two' })).toBe(202);
    // The Broker answers when all subscribers are done.
    expect(await eventsAt(namespace(), '/note/function', 'two')).toBeUndefined();
  });

  it('of a PingSource comes at its second', async () => {
    const { kubectl, name } = namespace();
    const source = {
      apiVersion: 'sources.knative.dev/v1',
      kind: 'PingSource',
      metadata: { name: 'tick', namespace: name },
      spec: { schedule: '*/2 * * * * *', contentType: 'application/json', data: '{}', sink: deskAt('/note/tick') },
    };
    await kubectl.apply([source]);
    const ticks = await until(
      'two ticks',
      async () => {
        const found = await eventsAt(namespace(), '/note/tick');
        return found !== undefined && found.length >= 2 && found;
      },
      { limitMs: 60_000 },
    );
    expect(ticks[0]?.headers).toMatchObject({
      'ce-type': 'dev.knative.sources.ping',
      'ce-source': `/apis/v1/namespaces/${name}/pingsources/tick`,
    });
  });

  it('of an ApiServerSource comes when an object is made', async () => {
    const { kubectl, name } = namespace();
    await kubectl.apply(apiServerSource(name));
    await waitForReady(namespace(), ['apiserversource/objects']);
    // Its adapter tells of what is made after its watch has begun, which is some time after it is ready.
    let made = 0;
    const tell = async () => {
      made += 1;
      const metadata = { name: `watched-${made}`, namespace: name, labels: { watched: 'yes' } };
      await kubectl.apply([{ apiVersion: 'v1', kind: 'ConfigMap', metadata }]);
      return eventsAt(namespace(), '/note/object');
    };
    const [event] = await until('the event', tell, { limitMs: 60_000 });
    const watched = event?.headers['ce-name'] ?? '';
    expect(watched).toMatch(/^watched-\d+$/);
    expect(event?.headers).toMatchObject({
      'ce-type': 'dev.knative.apiserver.resource.add',
      'ce-subject': `/apis/v1/namespaces/${name}/configmaps/${watched}`,
      'ce-kind': 'ConfigMap',
    });
  });

  it('that nobody takes goes to the dead letter sink after its retries, with what went wrong', async () => {
    const { kubectl, name, emit } = namespace();
    const answer = Buffer.from(JSON.stringify({ status: 503, body: 'no' })).toString('base64url');
    const subscriber = deskAt(`/answer/${answer}`);
    const more = { ...delivery, deadLetterSink: deskAt('/note/dead') };
    await kubectl.apply([trigger('doomed', { namespace: name, type: 'doomed', subscriber, delivery: more })]);
    await waitForReady(namespace(), ['trigger/doomed']);
    await emit({ type: 'doomed', id: 'three' });
    const [letter] = await until('the dead letter', () => eventsAt(namespace(), '/note/dead', 'three'), {
      limitMs: 60_000,
    });
    expect(letter?.headers).toMatchObject({
      'ce-type': 'doomed',
      'ce-knativeerrorcode': '503',
      'ce-knativeerrordest': expect.stringContaining(`/answer/${answer}`) as string,
      'ce-knativeerrordata': Buffer.from('no').toString('base64'),
    });
  });
});

function broker(namespace: string): object {
  return { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', metadata: { name: 'default', namespace } };
}

function trigger(
  name: string,
  options: { namespace: string; type: string; subscriber: object; delivery?: object },
): object {
  const { namespace, type, subscriber } = options;
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: { name, namespace },
    spec: {
      broker: 'default',
      filter: { attributes: { type } },
      subscriber,
      ...(options.delivery === undefined ? {} : { delivery: options.delivery }),
    },
  };
}

function apiServerSource(namespace: string): object[] {
  const metadata = { name: 'watcher', namespace };
  const rbac = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata,
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'watcher' },
      subjects: [{ kind: 'ServiceAccount', ...metadata }],
    },
    {
      apiVersion: 'sources.knative.dev/v1',
      kind: 'ApiServerSource',
      metadata: { name: 'objects', namespace },
      spec: {
        serviceAccountName: 'watcher',
        mode: 'Resource',
        resources: [{ apiVersion: 'v1', kind: 'ConfigMap', selector: { matchLabels: { watched: 'yes' } } }],
        sink: deskAt('/note/object'),
      },
    },
  ];
}

/** The events that came to a path, or undefined when there is none. */
async function eventsAt(namespace: TestNamespace, path: string, id?: string): Promise<Noted[] | undefined> {
  const all = await namespace.noted();
  const found = all.filter((one) => one.path === path && (id === undefined || one.headers['ce-id'] === id));
  return found.length === 0 ? undefined : found;
}
