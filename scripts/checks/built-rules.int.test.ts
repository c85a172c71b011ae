import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '#shared/sandbox/kubernetes/json.ts';
import { agreementMistakes, productionMistakes } from './agreement-rules.ts';
import { builds, checkBuild } from './builds.ts';
import { type Operation, patchJson } from './json-patch.ts';
import { identityOf, type Manifest } from './kustomize.ts';
import { podMistakes } from './pod-rules.ts';

const knative = fileURLToPath(new URL('../../knative', import.meta.url));
const numbers = { poolMax: 5, stepBudgetMs: 25_000, shutdownMs: 115_000 };

/** Everything that the shipped manifests set: what is unknown is another test's. */
const anything = { has: () => true } as unknown as ReadonlySet<string>;
const knownSettings = new Set(['A']);

let prod: readonly Manifest[];
let dev: readonly Manifest[];
beforeAll(async () => {
  const all = await builds(knative);
  const objectsOf = (name: string) => all.find((build) => build.name === name)?.objects ?? [];
  [prod, dev] = [objectsOf('overlays/prod'), objectsOf('overlays/dev')];
});

/** The rules of single objects and of what they say about each other. */
function rulesOf(objects: readonly Manifest[]): string[] {
  const options = { knownSettings: anything };
  const pods = objects.flatMap((object) => podMistakes(object, { knownSettings: anything }));
  return [...pods, ...agreementMistakes(objects, options), ...productionMistakes(objects)];
}

/** The numbers too. */
function mistakesOf(objects: readonly Manifest[], name = 'overlays/prod'): string[] {
  return checkBuild({ name, objects, isOverlay: true }, { knownSettings: anything, numbers }).mistakes;
}

/** The objects with one of them changed. */
function changed(identity: string, operations: readonly Operation[]): readonly Manifest[] {
  const [kind, name] = identity.split(' ');
  const next = prod.map((object) =>
    object.kind === kind && object.metadata.name === name && (kind !== 'Service' || object.apiVersion !== 'v1')
      ? (patchJson(object as unknown as Json, operations, identity) as unknown as Manifest)
      : object,
  );
  expect(next).not.toEqual(prod);
  return next;
}

const without = (identity: string) => prod.filter(({ kind, metadata }) => `${kind} ${metadata.name}` !== identity);
const add = (path: string, value: unknown): Operation => ({ op: 'add', path, value });
const replace = (path: string, value: unknown): Operation => ({ op: 'replace', path, value });
const remove = (path: string): Operation => ({ op: 'remove', path });

const pod = '/spec/template/spec';
const container = `${pod}/containers/0`;

it('finds nothing wrong with what is shipped', () => {
  expect(mistakesOf(prod)).toEqual([]);
  expect(mistakesOf(dev, 'overlays/dev')).toEqual([]);
});

describe('the rules of pods', () => {
  it.each<[string, Operation, RegExp]>([
    ['root', replace(`${container}/securityContext/runAsUser`, 0), /not root, by number/],
    ['no word about root', remove(`${container}/securityContext/runAsNonRoot`), /not root, by number/],
    ['more privileges', replace(`${container}/securityContext/allowPrivilegeEscalation`, true), /more privileges/],
    [
      'a root file system that can be written',
      remove(`${container}/securityContext/readOnlyRootFilesystem`),
      /read only/,
    ],
    ['capabilities', replace(`${container}/securityContext/capabilities/drop`, []), /drop all capabilities/],
    ['no seccomp profile', remove(`${container}/securityContext/seccompProfile`), /seccomp/],
    ['no request', remove(`${container}/resources/requests/memory`), /request cpu and memory/],
    ['no limit', remove(`${container}/resources/limits/memory`), /limit its memory/],
    ['no liveness probe', remove(`${container}/livenessProbe`), /no liveness probe/],
    ['a slow start', add(`${container}/readinessProbe/periodSeconds`, 10), /starts slowly/],
    ['a probe of something else', replace(`${container}/readinessProbe/httpGet/path`, '/'), /asked for \/readyz/],
    [
      'a secret in the environment',
      add(`${container}/env/-`, { name: 'REDIS_PASSWORD', value: 'x' }),
      /secret in its environment/,
    ],
    [
      'a Secret as a variable',
      add(`${container}/env/-`, { name: 'A', valueFrom: { secretKeyRef: { name: 'redis', key: 'password' } } }),
      /takes A from a Secret/,
    ],
    [
      'a file that is not mounted',
      add(`${container}/env/-`, { name: 'A_FILE', value: '/elsewhere/a' }),
      /does not mount/,
    ],
    [
      'a mount without volume',
      add(`${container}/volumeMounts/-`, { name: 'gone', mountPath: '/gone' }),
      /has no such volume/,
    ],
    ['a volume without mount', add(`${pod}/volumes/-`, { name: 'idle', emptyDir: {} }), /does not mount it/],
  ])('find %s', (_what, operation, message) => {
    expect(rulesOf(changed('Service stop', [operation]))).toContainEqual(expect.stringMatching(message));
  });

  it('find settings that nobody reads, in the environment and in the ConfigMap', () => {
    const { mistakes } = checkBuild({ name: 'x', objects: prod, isOverlay: false }, { knownSettings, numbers });
    expect(mistakes).toContainEqual(
      expect.stringMatching(/Service odoo-fleet\/stop sets REDIS_PASSWORD_FILE, which nobody reads/),
    );
    expect(mistakes).toContainEqual(
      expect.stringMatching(/ConfigMap odoo-fleet\/odoo-fleet sets BROKER_URL, which nobody reads/),
    );
  });

  it('find a Deployment that is killed while it waits', () => {
    const objects = changed('Deployment suspension-page', [replace(`${pod}/terminationGracePeriodSeconds`, 5)]);
    expect(mistakesOf(objects)).toEqual([expect.stringMatching(/waits 5 s before it ends/)]);
  });
});

describe('the rules of what must agree', () => {
  it.each<[string, () => readonly Manifest[], RegExp]>([
    [
      'a field that Serving does not have',
      () => changed('Service stop', [add(`${pod}/nodeSelector`, {})]),
      /nodeSelector/,
    ],
    [
      'both kinds of reference to RabbitMQ',
      () =>
        changed('RabbitmqBrokerConfig fleet', [add('/spec/rabbitmqClusterReference/connectionSecret', { name: 'x' })]),
      /rabbitmqClusterReference/,
    ],
    [
      'a filter that RabbitMQ ignores',
      () => changed('Trigger stop-requested', [add('/spec/subscriber/ref/group', 'x')]),
      /spec\.subscriber\.ref\.group/,
    ],
    [
      'a kind that nobody checks',
      () => [...prod, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', namespace: 'odoo-fleet' } }],
      /nobody checks/,
    ],
    [
      'an object without namespace',
      () => changed('ServiceAccount stop', [remove('/metadata/namespace')]),
      /state one of our namespaces/,
    ],
    [
      'a public function',
      () => changed('Service stop', [remove('/metadata/labels/networking.knative.dev~1visibility')]),
      /cluster-local/,
    ],
    [
      "another function's account",
      () => changed('Service stop', [replace(`${pod}/serviceAccountName`, 'start')]),
      /must run as ServiceAccount stop/,
    ],
    ['no account', () => without('ServiceAccount stop'), /runs as ServiceAccount stop, which is not there/],
    [
      'a token that is not needed',
      () => changed('Service billing', [remove(`${pod}/automountServiceAccountToken`)]),
      /needs no token/,
    ],
    [
      'no token where one is needed',
      () => changed('Service stop', [add(`${pod}/automountServiceAccountToken`, false)]),
      /needs the token/,
    ],
    [
      "another function's image",
      () => changed('Service stop', [replace(`${container}/image`, 'registry.example.com/odoo-fleet/start:1')]),
      /not one named stop/,
    ],
    [
      'no version of an image',
      () => changed('Service stop', [replace(`${container}/image`, 'registry.example.com/odoo-fleet/stop')]),
      /names a version of image/,
    ],
    ['no ConfigMap', () => without('ConfigMap redis'), /reads ConfigMap redis, which is not there/],
    ['no budget for disruptions', () => without('PodDisruptionBudget stop'), /has no PodDisruptionBudget/],
    [
      "a budget for somebody else's pods",
      () =>
        changed('PodDisruptionBudget stop', [
          replace('/spec/selector/matchLabels/serving.knative.dev~1service', 'start'),
        ]),
      /is nobody's/,
    ],
    ['no Role', () => without('Role stop'), /names Role stop, which is not there/],
    [
      'a way to the API that is closed',
      () => changed('NetworkPolicy functions-to-cluster', [remove('/spec/podSelector/matchExpressions/0/values/0')]),
      /keeps backup from/,
    ],
    [
      'a way to the API for others',
      () =>
        changed('NetworkPolicy functions-to-cluster', [
          add('/spec/podSelector/matchExpressions/0/values/-', 'billing'),
        ]),
      /lets billing out/,
    ],
    [
      "another broker's address",
      () => changed('ConfigMap odoo-fleet', [replace('/data/BROKER_URL', 'http://elsewhere')]),
      /BROKER_URL must be/,
    ],
    [
      'no configuration of the broker',
      () => without('RabbitmqBrokerConfig fleet'),
      /configured by RabbitmqBrokerConfig fleet, which is not there/,
    ],
    [
      'unsigned events',
      () => changed('ConfigMap odoo-fleet', [replace('/data/SOURCES_POLICY', 'known')]),
      /signed events only/,
    ],
    ['no spool', () => without('PersistentVolumeClaim dead-letter-spool'), /keeps dead letters/],
  ])('find %s', (_what, objects, message) => {
    expect(rulesOf(objects())).toContainEqual(expect.stringMatching(message));
  });

  it.each<[string, () => readonly Manifest[], RegExp]>([
    [
      'no broker',
      () => changed('Broker fleet', [remove('/metadata/annotations'), remove('/spec')]),
      /picks one broker/,
    ],
    [
      'a smaller bouncer',
      () => changed('ConfigMap pgbouncer', [replace('/data/pgbouncer.ini', 'max_client_conn = 200')]),
      /\d{3} connections, 200 are accepted/,
    ],
  ])('find %s', (_what, objects, message) => {
    expect(mistakesOf(objects())).toContainEqual(expect.stringMatching(message));
  });

  it('find a broker in memory that makes publishers wait, and one that forgets in production', () => {
    const objects = dev.map((object) => {
      const { annotations: _annotations, ...metadata } = object.metadata;
      const waiting = { 'eventing.knative.dev/broker.class': 'MTChannelBasedBroker' };
      return object.kind === 'Broker' ? { ...object, metadata: { ...metadata, annotations: waiting } } : object;
    });
    expect(mistakesOf(objects, 'overlays/dev')).toEqual([expect.stringMatching(/must answer at once/)]);
    expect(mistakesOf(dev)).toContainEqual(expect.stringMatching(/a broker that lasts/));
  });
});

it('no migration has an object of the overlay that is applied after it: each would take away what the other says', async () => {
  const all = await builds(knative);
  const migrations = all.filter(({ name }) => name.endsWith('/migration'));
  expect(migrations).toHaveLength(2);
  for (const { name, objects } of migrations) {
    const beside = all.find((one) => `${one.name}/migration` === name)?.objects.map(identityOf);
    expect(beside?.filter((identity) => objects.map(identityOf).includes(identity))).toEqual([]);
  }
});
