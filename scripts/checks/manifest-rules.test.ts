import { describe, expect, it } from 'vitest';
import { type ManifestFacts, manifestMistakes, poolBudget } from './manifest-rules.ts';

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
  files: ['kustomization.yaml', 'stop/service.yaml', 'stop/trigger.yaml'],
  resources: ['stop/service.yaml', 'stop/trigger.yaml'],
  defaultPoolMax: 5,
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
    [{ delivery: { ...trigger('', {}).delivery, timeoutMs: 120_000 } }, /waits 120000 ms/],
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
    expect(manifestMistakes({ ...good, resources: ['stop/service.yaml', 'gone.yaml'] })).toEqual([
      'kustomization.yaml does not list stop/trigger.yaml.',
      'kustomization.yaml lists gone.yaml: no such file.',
    ]);
  });

  it('finds more connections than the bouncer takes', () => {
    const services = [{ ...service('stop'), maxScale: 101, env: { FUNCTION_TARGET: 'stop', DATABASE_POOL_MAX: '10' } }];
    expect(manifestMistakes(withManifests({ services }))).toEqual([expect.stringMatching(/1010 connections/)]);
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
