import { afterEach, expect, test, vi } from 'vitest';
import type { KubernetesClient, KubernetesObject, WatchEvent } from './kubernetes-client.ts';
import { type Informer, startInformer } from './kubernetes-informer.ts';

type Thing = KubernetesObject & { value?: number };
type Step = WatchEvent<Thing> | Error | 'end';
const things = { groupVersion: 'v1', plural: 'things' };
const thing = (name: string, version: number, uid = name): Thing => ({
  metadata: { name, uid, resourceVersion: String(version) },
});

let informer: Informer<Thing> | undefined;
afterEach(async () => informer?.stop());

/** Lists are given one after the other; each watch takes what `send` brings. */
function fakeClient(lists: { items: Thing[]; resourceVersion: string }[]) {
  const waiting: ((step: Step) => void)[] = [];
  const steps: Step[] = [];
  const versions: string[] = [];
  const client = {
    list: async () => lists.shift() ?? { items: [], resourceVersion: '0' },
    async *watch(_resource: unknown, _namespace: string, options: { resourceVersion: string; signal: AbortSignal }) {
      versions.push(options.resourceVersion);
      for (;;) {
        const step =
          steps.shift() ??
          (await new Promise<Step>((resolve, reject) => {
            waiting.push(resolve);
            options.signal.addEventListener('abort', () => reject(new Error('aborted')));
          }));
        if (step === 'end') return;
        if (step instanceof Error) throw step;
        yield step;
      }
    },
  };
  const send = (step: Step) => {
    const next = waiting.shift();
    if (next) next(step);
    else steps.push(step);
  };
  return { client: client as unknown as KubernetesClient, send, versions };
}

async function start(lists: { items: Thing[]; resourceVersion: string }[]) {
  const { client, send, versions } = fakeClient(lists);
  const seen: string[] = [];
  informer = await startInformer<Thing>(client, things, {
    namespace: 'n',
    handler: {
      changed: ({ metadata }) => seen.push(`+${metadata.name}${metadata.resourceVersion}`),
      deleted: ({ metadata }) => seen.push(`-${metadata.name}`),
    },
  });
  return { informer, send, seen, versions };
}

test('an older state never replaces a newer one', async () => {
  const { informer: it, send, seen } = await start([{ items: [thing('a', 1)], resourceVersion: '1' }]);
  it.learn(thing('a', 5));
  send({ type: 'MODIFIED', object: thing('a', 3) });
  send({ type: 'ADDED', object: thing('b', 6) });
  await vi.waitFor(() => expect(seen).toEqual(['+a1', '+a5', '+b6']), 15_000);
  expect(it.get('a')?.metadata.resourceVersion).toBe('5');
});

test('the answer to an own write that the watch has already outrun does not bring a deleted object back', async () => {
  const { informer: it, send, seen } = await start([{ items: [], resourceVersion: '1' }]);
  send({ type: 'ADDED', object: thing('a', 2) });
  send({ type: 'DELETED', object: thing('a', 3) });
  await vi.waitFor(() => expect(seen).toEqual(['+a2', '-a']), 15_000);
  it.learn(thing('a', 2));
  expect(it.list()).toEqual([]);
  it.learn(thing('b', 9));
  expect(it.list()).toHaveLength(1);
});

test('after a version that is too old it lists again and reports what changed and what went', async () => {
  const { send, seen } = await start([
    { items: [thing('a', 1), thing('b', 2), thing('c', 3)], resourceVersion: '3' },
    { items: [thing('b', 2), thing('c', 8, 'another')], resourceVersion: '9' },
  ]);
  send({ type: 'ERROR', object: { code: 410, message: 'too old' } });
  await vi.waitFor(() => expect(seen).toEqual(['+a1', '+b2', '+c3', '-a', '-c', '+c8']), 15_000);
});

test('after the stream’s end it watches on from the last bookmark, after a lost connection it lists again', async () => {
  const { send, versions } = await start([
    { items: [], resourceVersion: '1' },
    { items: [], resourceVersion: '50' },
  ]);
  send({ type: 'BOOKMARK', object: thing('', 40) });
  send('end');
  await vi.waitFor(() => expect(versions).toEqual(['1', '40']), 15_000);
  send(new Error('connection lost'));
  await vi.waitFor(() => expect(versions).toEqual(['1', '40', '50']), 15_000);
});
