import { describe, expect, it } from 'vitest';
import { mergeApplied } from './apply-merge.ts';
import { duplicateItems, fieldsOf, fromFieldsV1, readablePath, toFieldsV1 } from './field-set.ts';
import type { JsonObject } from './json.ts';
import { applyFields, trackUpdate } from './managed-fields.ts';
import { mergePatch } from './merge-patch.ts';
import type { KubernetesObject } from './objects.ts';
import { findResource } from './resources.ts';

const deployments = findResource('apps', 'v1', 'deployments');
if (!deployments) throw new Error('deployments are not in the list');
const resource = deployments;

function deployment(containers: JsonObject[], labels?: JsonObject): KubernetesObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'odoo', ...(labels ? { labels } : {}) },
    spec: { template: { spec: { containers } } },
  };
}

function apply(live: KubernetesObject | undefined, applied: KubernetesObject, manager = 'fleet'): KubernetesObject {
  const writer = { manager, operation: 'Apply', subresource: '' } as const;
  const { merged, finish } = applyFields(resource, live, { applied, writer, isForced: true });
  return finish(merged);
}

const containersOf = (object: KubernetesObject) => fieldsAt(object, ['spec', 'template', 'spec', 'containers']);
const fieldsAt = (object: JsonObject, path: string[]) =>
  path.reduce<unknown>((value, field) => (value as JsonObject)[field], object);

describe('field sets', () => {
  it('survive the way through managed fields', () => {
    const fields = fieldsOf('Deployment', {
      metadata: { labels: { a: 'b' }, finalizers: ['x/y'] },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { spec: { containers: [{ name: 'a', args: ['1'], env: [{ name: 'E' }] }] } },
      },
    });
    expect(fromFieldsV1(toFieldsV1(fields))).toEqual(fields);
    expect([...fields].map(readablePath)).toContain('.spec.template.spec.containers[name="a"].env[name="E"].name');
    expect([...fields].map(readablePath)).toContain('.metadata.finalizers[="x/y"]');
    expect([...fields].map(readablePath)).toContain('.spec.selector');
  });

  it('write owned items and leaves as Kubernetes does', () => {
    const ports = [{ containerPort: 8069 }];
    const fields = fieldsOf('Deployment', { spec: { template: { spec: { containers: [{ name: 'a', ports }] } } } });
    expect(toFieldsV1(fields)).toEqual({
      'f:spec': {
        'f:template': {
          'f:spec': {
            'f:containers': {
              'k:{"name":"a"}': {
                '.': {},
                'f:name': {},
                'f:ports': { 'k:{"containerPort":8069,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
              },
            },
          },
        },
      },
    });
  });

  it('find keys that are given twice', () => {
    const twice = deployment([{ name: 'a' }, { name: 'a' }]);
    expect(duplicateItems('Deployment', twice)).toEqual([
      { list: '.spec.template.spec.containers', key: '[name="a"]' },
    ]);
  });
});

describe('the merge of an apply', () => {
  it('keeps live items in their place and takes the order of the applied ones', () => {
    const live = deployment([{ name: 'live' }, { name: 'b' }, { name: 'a' }]);
    const merged = mergeApplied('Deployment', live, deployment([{ name: 'a' }, { name: 'b' }, { name: 'new' }]));
    expect((containersOf(merged as KubernetesObject) as JsonObject[]).map((it) => it['name'])).toEqual([
      'live',
      'a',
      'b',
      'new',
    ]);
  });

  it('replaces a selector as a whole', () => {
    const live = { spec: { selector: { a: '1', b: '2' } } };
    expect(mergeApplied('Service', live, { spec: { selector: { a: '3' } } })).toEqual({
      spec: { selector: { a: '3' } },
    });
  });
});

describe('apply', () => {
  it('takes away what the same manager no longer sends, with what was filled in below it', () => {
    const first = apply(
      undefined,
      deployment([{ name: 'a', image: 'x', livenessProbe: { exec: { command: ['y'] } } }], { gone: 'yes' }),
    );
    const spec = {
      template: {
        spec: {
          containers: [{ name: 'a', image: 'x', livenessProbe: { exec: { command: ['y'] }, timeoutSeconds: 1 } }],
        },
      },
    };
    const second = apply({ ...first, spec }, deployment([{ name: 'a', image: 'x' }]));
    expect(containersOf(second)).toEqual([{ name: 'a', image: 'x' }]);
    expect(second.metadata['labels']).toBeUndefined();
  });

  it('keeps what another manager owns below a list item that is dropped', () => {
    const first = apply(
      undefined,
      deployment([
        { name: 'a', image: 'x' },
        { name: 'b', image: 'y' },
      ]),
    );
    const both = apply(first, deployment([{ name: 'b', image: 'y' }]), 'other');
    const second = apply(both, deployment([{ name: 'a', image: 'x' }]));
    expect(containersOf(second)).toEqual([
      { name: 'a', image: 'x' },
      { name: 'b', image: 'y' },
    ]);
  });

  it('takes over a field that another manager changed, and that manager owns it no longer', () => {
    const first = apply(undefined, deployment([{ name: 'a', image: 'x' }]));
    const writer = { manager: 'other', operation: 'Update', subresource: '' } as const;
    const next = { ...first, spec: { template: { spec: { containers: [{ name: 'a', image: 'z' }] } } } };
    const changed = trackUpdate(resource, first, { next, writer });
    expect(changed.metadata['managedFields']).toMatchObject([{ manager: 'fleet' }, { manager: 'other' }]);
    const refused = () =>
      applyFields(resource, changed, {
        applied: deployment([{ name: 'a', image: 'x' }]),
        writer: { manager: 'fleet', operation: 'Apply', subresource: '' },
        isForced: false,
      });
    expect(refused).toThrow('conflict with "other" using apps/v1: .spec.template.spec.containers[name="a"].image');
    expect(apply(changed, deployment([{ name: 'a', image: 'x' }])).metadata['managedFields']).toMatchObject([
      { manager: 'fleet' },
    ]);
  });
});

describe('merge patch', () => {
  // RFC 7396, appendix A.
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j gives %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });
});
