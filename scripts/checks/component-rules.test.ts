import { describe, expect, it } from 'vitest';
import { type Component, componentMistakes } from './component-rules.ts';

const folder = '/spec/template/spec' as const;
const good: Component = {
  name: 'signed-events',
  kustomization: {
    apiVersion: 'kustomize.config.k8s.io/v1alpha1',
    kind: 'Component',
    resources: [],
    patches: [
      { path: 'config.yaml' },
      { path: 'service.yaml', target: { group: 'serving.knative.dev', kind: 'Service', name: 'start|stop' } },
    ],
  },
  files: ['config.yaml', 'service.yaml'],
  servicePatches: {
    'service.yaml': [
      { op: 'add', path: `${folder}/containers/0/env/-`, value: { name: 'KEY_FILE', value: '/keys/key' } },
      { op: 'add', path: `${folder}/containers/0/volumeMounts/-`, value: { name: 'key', mountPath: '/keys' } },
      { op: 'add', path: `${folder}/volumes/-`, value: { name: 'key', secret: { secretName: 'key' } } },
    ],
  },
  settings: ['POLICY'],
};
const facts = { services: [{ name: 'start' }, { name: 'stop' }], knownSettings: new Set(['POLICY', 'KEY_FILE']) };

describe('componentMistakes', () => {
  it('finds nothing in a component whose parts agree', () => {
    expect(componentMistakes(good, facts)).toEqual([]);
  });

  it.each<[string, Partial<Component>, RegExp]>([
    ['a file that is not listed', { files: [...good.files, 'more.yaml'] }, /does not list more\.yaml/],
    ['a listed file that is not there', { files: ['config.yaml'] }, /lists service\.yaml: no such file/],
    ['a setting nobody reads', { settings: ['POLICE'] }, /sets POLICE, which nobody reads/],
    [
      'a Service that is none',
      {
        kustomization: {
          ...good.kustomization,
          patches: [
            { path: 'config.yaml' },
            { path: 'service.yaml', target: { group: 'serving.knative.dev', kind: 'Service', name: 'start|halt' } },
          ],
        },
      },
      /changes halt, which is no Service/,
    ],
    [
      'a path that is not mounted',
      { servicePatches: { 'service.yaml': good.servicePatches['service.yaml']?.slice(0, 1) ?? [] } },
      /KEY_FILE to \/keys\/key, which it does not mount/,
    ],
    [
      'a mount without its volume',
      { servicePatches: { 'service.yaml': good.servicePatches['service.yaml']?.slice(0, 2) ?? [] } },
      /mounts key and has no such volume/,
    ],
  ])('finds %s', (_what, change, message) => {
    expect(componentMistakes({ ...good, ...change }, facts)).toEqual([expect.stringMatching(message)]);
  });
});
