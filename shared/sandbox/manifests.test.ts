import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { everyMsOf, isoDurationMs } from './manifests/durations.ts';
import { parseManifests, readManifests } from './manifests.ts';

const folder = new URL('../../knative/base', import.meta.url).pathname;

test('the manifests of the base are read into services, triggers and ping sources', async () => {
  const { services, triggers, pingSources, watched } = await readManifests(folder);
  expect(services.find(({ name }) => name === 'provision')).toMatchObject({
    containerConcurrency: 10,
    timeoutMs: 120_000,
    maxScale: 5,
    env: { FUNCTION_TARGET: 'provision' },
  });
  expect(triggers.filter(({ subscriber }) => subscriber === 'provision')).toMatchObject([
    { filterAttributes: { type: 'dev.odoofleet.instance.provision.requested' } },
    { filterAttributes: { opkind: 'provision' } },
  ]);
  expect(triggers.filter(({ subscriber }) => subscriber === 'observe')).toHaveLength(3);
  expect(watched).toEqual([
    { apiVersion: 'apps/v1', kind: 'Deployment', labelSelector: 'app.kubernetes.io/managed-by=odoo-fleet' },
    { apiVersion: 'batch/v1', kind: 'Job', labelSelector: 'app.kubernetes.io/managed-by=odoo-fleet' },
  ]);
  expect(pingSources).toContainEqual({
    name: 'reconcile',
    everyMs: 10_000,
    contentType: 'application/json',
    data: '{}',
    sink: 'reconcile',
    source: '/apis/v1/namespaces/odoo-fleet/pingsources/reconcile',
  });
});

test('every trigger of the base states its whole delivery, within its subscriber’s time limit', async () => {
  const { services, triggers } = await readManifests(folder);
  expect(triggers.length).toBeGreaterThan(0);
  for (const { name, broker, subscriber, parallelism, delivery } of triggers) {
    // observe writes together what is in flight at the same time
    const wanted = subscriber === 'observe' ? 100 : 4;
    expect({ name, broker, parallelism }).toEqual({ name, broker: 'fleet', parallelism: wanted });
    expect(delivery).toEqual({
      retry: 5,
      backoff: { policy: 'exponential', delayMs: 1000 },
      timeoutMs: 60_000,
      deadLetterSink: 'dead-letter',
    });
    const service = services.find((candidate) => candidate.name === subscriber);
    expect(service?.timeoutMs, name).toBeGreaterThan(delivery.timeoutMs);
  }
});

test('no manifest of the base holds a secret as an environment value', async () => {
  const { services } = await readManifests(folder);
  for (const { env } of services) {
    const secrets = Object.keys(env).filter(
      (key) => /PASSWORD|SECRET|TOKEN|KEY/.test(key) && !/_(FILE|DIR)$/.test(key),
    );
    expect(secrets).toEqual([]);
  }
});

test('the kustomization lists every manifest of the base', async () => {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.yaml'));
  const { resources } = parse(await readFile(`${folder}/kustomization.yaml`, 'utf8')) as { resources: string[] };
  expect(resources.toSorted()).toEqual(files.filter((name) => name !== 'kustomization.yaml').toSorted());
});

const trigger = `
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: { name: t, namespace: odoo-fleet }
spec:
  broker: fleet
  filter: { attributes: { type: a } }
  subscriber: { ref: { apiVersion: serving.knative.dev/v1, kind: Service, name: s } }
  delivery:
    retry: 5
    backoffPolicy: exponential
    backoffDelay: PT1S
    timeout: PT60S
    deadLetterSink: { ref: { apiVersion: serving.knative.dev/v1, kind: Service, name: dead-letter } }
`;

test.each([
  ['a missing dead letter sink', /^ +deadLetterSink.*$/m, '', /f\.yaml: Trigger t: spec\.delivery\.deadLetterSink/],
  ['a duration that is none', 'PT60S', '60s', /spec\.delivery\.timeout: "60s" is not an ISO 8601 duration/],
  [
    'filters the RabbitMQ broker ignores',
    'broker: fleet',
    'broker: fleet\n  filters: []',
    /spec\.filters is ignored by the RabbitMQ/,
  ],
  ['a filter value that is no text', 'type: a', 'type: 1', /spec\.filter\.attributes\.type/],
  ['a subscriber of another kind', 'kind: Service, name: s', 'kind: Channel, name: s', /spec\.subscriber\.ref\.kind/],
  ['text that is not YAML', 'broker: fleet', 'broker: [', /^f\.yaml: /],
])('%s is refused with a message that names it', (_, from, to, message) => {
  expect(() => parseManifests(trigger.replace(from, to), 'f.yaml')).toThrow(message);
});

test('other kinds are passed over', () => {
  const { services } = parseManifests(
    'apiVersion: v1\nkind: Service\nmetadata: { name: plain }\n---\n# nothing\n',
    'f.yaml',
  );
  expect(services).toEqual([]);
});

test('durations and schedules are read as Knative reads them', () => {
  expect(['PT60S', 'PT0.2S', 'PT1M30S', 'PT2H', 'PT', '60', 'P1D'].map(isoDurationMs)).toEqual([
    60_000,
    200,
    90_000,
    7_200_000,
    undefined,
    undefined,
    undefined,
  ]);
  expect(['*/10 * * * * *', '*/2 * * * *', '@every 5s', '0 3 * * *', '*/0 * * * *'].map(everyMsOf)).toEqual([
    10_000,
    120_000,
    5000,
    undefined,
    undefined,
  ]);
});
