import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differencesOf } from './differences.ts';

const wanted = {
  metadata: { labels: { app: 'odoo' }, annotations: { 'odoofleet.dev/desired': 'a' } },
  spec: {
    replicas: 1,
    template: {
      spec: {
        containers: [
          { name: 'odoo', env: [{ name: 'A', value: '1' }], resources: { limits: { cpu: '1000m', memory: '1024Mi' } } },
        ],
      },
    },
  },
};

/** What the server makes of it: defaults, a status, quantities in its own words. */
const found = () => ({
  metadata: { uid: '1', labels: { app: 'odoo', theirs: 'x' }, annotations: { 'odoofleet.dev/desired': 'a' } },
  spec: {
    replicas: 1,
    progressDeadlineSeconds: 600,
    template: {
      spec: {
        dnsPolicy: 'ClusterFirst',
        containers: [
          {
            name: 'odoo',
            imagePullPolicy: 'IfNotPresent',
            env: [{ name: 'A', value: '1' }] as { name: string; value?: string }[],
            resources: { limits: { cpu: '1', memory: '1Gi' } },
          },
        ],
      },
    },
  },
  status: { replicas: 1 },
});

type Found = ReturnType<typeof found>;

describe('differencesOf', () => {
  it('finds none in what the server adds', () => {
    expect(differencesOf(found(), wanted)).toEqual([]);
  });

  const container = (object: Found) => {
    const [first] = object.spec.template.spec.containers;
    if (first === undefined) throw new Error('no container');
    return first;
  };
  it.each<[string, string, (object: Found) => void]>([
    ['a number', 'spec.replicas', (object) => void (object.spec.replicas = 0)],
    ['a label', 'metadata.labels.app', (object) => void (object.metadata.labels.app = 'mine')],
    [
      'an annotation',
      'metadata.annotations["odoofleet.dev/desired"]',
      (object) => void (object.metadata.annotations['odoofleet.dev/desired'] = 'b'),
    ],
    [
      'a list that grew',
      'spec.template.spec.containers[0].env',
      (object) => void container(object).env.push({ name: 'B' }),
    ],
    [
      'a value in a list',
      'spec.template.spec.containers[0].env[0].value',
      (object) => void (container(object).env = [{ name: 'A', value: '2' }]),
    ],
    [
      'a quantity',
      'spec.template.spec.containers[0].resources.limits.memory',
      (object) => void (container(object).resources.limits.memory = '1025Mi'),
    ],
  ])('names %s', (_what, path, change) => {
    const object = found();
    change(object);
    expect(differencesOf(object, wanted)).toEqual([path]);
  });

  it('takes a label more in a selector as a difference, elsewhere not', () => {
    const service = { spec: { selector: { app: 'odoo' } } };
    expect(differencesOf({ spec: { selector: { app: 'odoo', canary: 'yes' } } }, service)).toEqual([
      'spec.selector.canary',
    ]);
    const peer = { namespaceSelector: { matchLabels: { a: '1' } } };
    expect(differencesOf({ namespaceSelector: { matchLabels: { a: '1', b: '2' } } }, peer)).toEqual([
      'namespaceSelector.matchLabels.b',
    ]);
  });

  it('takes an empty list or text for none, but not false for unset', () => {
    expect(differencesOf({}, { ingress: [], value: '' })).toEqual([]);
    expect(differencesOf({}, { automountServiceAccountToken: false })).toEqual(['automountServiceAccountToken']);
  });

  it('lets a volume be larger than wanted, and no smaller', () => {
    const claim = (storage: string) => ({ spec: { resources: { requests: { storage } } } });
    expect(differencesOf(claim('10Gi'), claim('5Gi'))).toEqual([]);
    expect(differencesOf(claim('5Gi'), claim('5120Mi'))).toEqual([]);
    expect(differencesOf(claim('4Gi'), claim('5Gi'))).toEqual(['spec.resources.requests.storage']);
  });

  it('looks for stringData in data, and tells no value', () => {
    const secret = { data: { 'odoo.conf': Buffer.from('password').toString('base64') } };
    expect(differencesOf(secret, { stringData: { 'odoo.conf': 'password' } })).toEqual([]);
    expect(differencesOf(secret, { stringData: { 'odoo.conf': 'other' } })).toEqual(['data["odoo.conf"]']);
    expect(differencesOf({}, { stringData: { 'odoo.conf': 'other' } })).toEqual(['data']);
  });

  it('finds nothing in an object of its own, whatever it is, and something where a field of it is gone', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        expect(differencesOf(object, object)).toEqual([]);
      }),
    );
    const numbers = fc.dictionary(fc.string({ minLength: 1 }), fc.integer(), { minKeys: 1 });
    fc.assert(fc.property(numbers, (object) => differencesOf({}, object).length === Object.keys(object).length));
  });
});
