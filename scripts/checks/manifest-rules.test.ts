import { describe, expect, it } from 'vitest';
import { poolBudget } from './connections.ts';
import { type ManifestFacts, manifestMistakes, numberMistakes, type OverlayFacts } from './manifest-rules.ts';

const service = (name: string) => ({
  name,
  containerConcurrency: 10,
  timeoutMs: 120_000,
  minScale: 0,
  maxScale: 5,
  env: { FUNCTION_TARGET: name },
});
const trigger = (name: string, filterAttributes: Record<string, string>) => ({
  name,
  broker: 'fleet',
  filterAttributes,
  subscriber: 'stop',
  parallelism: undefined,
  delivery: {
    retry: 5,
    backoff: { policy: 'exponential' as const, delayMs: 1000 },
    timeoutMs: 60_000,
    // any Service that is there
    deadLetterSink: 'stop',
  },
});
function folderOf(name: string): string[] {
  const files = ['service-account.yaml', 'service.yaml', 'pod-disruption-budget.yaml', 'trigger.yaml'];
  return files.map((file) => `${name}/${file}`);
}
const requested = 'dev.odoofleet.instance.stop.requested';

const good: ManifestFacts = {
  manifests: {
    services: [service('stop')],
    triggers: [trigger('stop-requested', { type: requested }), trigger('stop-advance', { opkind: 'stop' })],
    pingSources: [],
    watched: [],
  },
  functions: ['stop'],
  catalogue: [
    { type: requested, direction: 'in' },
    { type: 'dev.odoofleet.operation.advance', direction: 'both' },
    { type: 'dev.odoofleet.instance.stopped', direction: 'out' },
  ],
  files: ['kustomization.yaml', ...folderOf('stop')],
  resources: folderOf('stop'),
};
const goodNumbers: OverlayFacts = {
  manifests: good.manifests,
  defaultPoolMax: 5,
  connectionLimit: 100,
  stepBudgetMs: 25_000,
  shutdownMs: 115_000,
};
const withManifests = (changes: Partial<ManifestFacts['manifests']>): ManifestFacts => ({
  ...good,
  manifests: { ...good.manifests, ...changes },
});

describe('manifestMistakes', () => {
  it('finds nothing where functions, Services, Triggers and types agree', () => {
    expect(manifestMistakes(good)).toEqual([]);
  });

  it('lets a program be an ordinary Deployment instead, and finds one without a program', () => {
    const withPage = (functions: string[]): ManifestFacts => ({
      ...good,
      functions,
      files: [...good.files, 'page/deployment.yaml'],
      resources: [...good.resources, 'page/deployment.yaml'],
    });
    expect(manifestMistakes(withPage(['stop', 'page']))).toEqual([]);
    expect(manifestMistakes(withPage(['stop']))).toEqual([
      'Deployment page has no program: write functions/page/main.ts.',
    ]);
  });

  it('finds a function without a Service and a Service without a function', () => {
    expect(manifestMistakes({ ...good, functions: ['stop', 'start'] })).toContainEqual(
      expect.stringMatching(/^functions\/start has no Service/),
    );
    expect(manifestMistakes(withManifests({ services: [service('stop'), service('start')] }))).toContainEqual(
      expect.stringMatching(/^Service start has no program/),
    );
  });

  it.each([
    ['its request', 0, /no Trigger for its request/],
    ['its advance', 1, /no Trigger for opkind stop/],
  ])('finds an operation that has no Trigger for %s', (_what, index, message) => {
    const triggers = good.manifests.triggers.filter((_, at) => at !== index);
    expect(manifestMistakes(withManifests({ triggers }))).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    [{ filterAttributes: { type: 'dev.odoofleet.typo' } }, /events\/catalogue\.ts does not have/],
    [{ filterAttributes: {} }, /neither type nor opkind/],
    [{ subscriber: 'nobody' }, /delivers to nobody/],
    [{ delivery: { ...trigger('', {}).delivery, deadLetterSink: 'nowhere' } }, /dead-letter sink nowhere/],
  ])('finds a Trigger with %o', (changes, message) => {
    const bad = { ...trigger('bad', { opkind: 'stop' }), ...changes };
    const mistakes = manifestMistakes(withManifests({ triggers: [...good.manifests.triggers, bad] }));
    expect(mistakes).toEqual([expect.stringMatching(message)]);
  });

  it('finds an event that nobody gets', () => {
    const catalogue = [...good.catalogue, { type: 'dev.knative.apiserver.resource.add', direction: 'in' }];
    expect(manifestMistakes({ ...good, catalogue })).toEqual([
      'Nobody gets dev.knative.apiserver.resource.add: write a Trigger.',
    ]);
  });

  it('finds files that the kustomization leaves out, and such that are not there', () => {
    expect(manifestMistakes({ ...good, resources: [...folderOf('stop').slice(0, 3), 'gone.yaml'] })).toEqual([
      'kustomization.yaml does not list stop/trigger.yaml.',
      'kustomization.yaml lists gone.yaml: no such file.',
    ]);
  });

  it('finds a function that lacks one of its files', () => {
    const rest = folderOf('stop').slice(1);
    expect(manifestMistakes({ ...good, files: rest, resources: rest })).toEqual([
      'Service stop has no service-account.yaml.',
    ]);
    const other = ['service-account.yaml', 'service.yaml', 'pod-disruption-budget.yaml'].map((file) => `start/${file}`);
    const services = [service('stop'), service('start')];
    const files = [...good.files, ...other];
    const facts = {
      ...withManifests({ services }),
      functions: ['stop', 'start'],
      files,
      resources: [...good.resources, ...other],
    };
    expect(manifestMistakes(facts)).toEqual(['Service start has no trigger.yaml or ping-source.yaml.']);
  });
});

describe('numberMistakes', () => {
  const withService = (changes: Partial<ReturnType<typeof service>>): OverlayFacts => ({
    ...goodNumbers,
    manifests: { ...good.manifests, services: [{ ...service('stop'), ...changes }] },
  });

  it('finds nothing where the numbers agree', () => {
    expect(numberMistakes(goodNumbers)).toEqual([]);
  });

  it.each([
    ['more connections than are accepted', withService({ maxScale: 21 }), /105 connections, 100 are accepted/],
    ['no upper limit', withService({ maxScale: 0 }), /no upper limit/],
    ['more pods kept than there may be', withService({ minScale: 6 }), /keeps 6 pods and may have 5/],
    ['no time to end', { ...goodNumbers, shutdownMs: 120_000 }, /takes up to 120000 ms to end/],
    ['steps that outlast a delivery', { ...goodNumbers, stepBudgetMs: 60_000 }, /steps may begin until/],
    ['an answer that may begin too late', withService({ timeoutMs: 400_000 }), /Serving cuts an answer/],
  ])('finds %s', (_what, facts, message) => {
    expect(new Set(numberMistakes(facts))).toContainEqual(expect.stringMatching(message));
  });

  it('lets a delivery wait as long as its Service may take, and no longer', () => {
    const waiting = (timeoutMs: number): OverlayFacts => {
      const one = trigger('stop-requested', { type: requested });
      return {
        ...goodNumbers,
        manifests: { ...good.manifests, triggers: [{ ...one, delivery: { ...one.delivery, timeoutMs } }] },
      };
    };
    expect(numberMistakes(waiting(120_000))).toEqual([]);
    expect(numberMistakes(waiting(120_001))).toEqual([expect.stringMatching(/longer than its Service may take/)]);
  });
});

describe('poolBudget', () => {
  it('multiplies max-scale with the pool of the Service, else with the default', () => {
    const own = { ...service('observe'), env: { DATABASE_POOL_MAX: '2' } };
    expect(poolBudget([service('stop'), own], 5)).toEqual([
      { name: 'stop', connections: 25 },
      { name: 'observe', connections: 10 },
    ]);
  });
});
