import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { buildManifests, isMatch, type Manifest } from './kustomize.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kustomize-'));
});
afterEach(() => rm(folder, { recursive: true }));

const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { A: '1', B: '2' } };
const service = {
  apiVersion: 'serving.knative.dev/v1',
  kind: 'Service',
  metadata: { name: 'stop' },
  spec: { template: { spec: { containers: [{ image: 'fleet/stop', env: [{ name: 'A', value: '1' }] }] } } },
};

async function write(files: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    const all = Array.isArray(content) && !name.includes('patch') ? content : [content];
    await writeFile(join(folder, name), all.map((one) => stringify(one)).join('---\n'));
  }
}

const kustomization = (fields: object) => ({
  apiVersion: 'kustomize.config.k8s.io/v1beta1',
  kind: 'Kustomization',
  ...fields,
});
const component = (fields: object) => ({
  apiVersion: 'kustomize.config.k8s.io/v1alpha1',
  kind: 'Component',
  ...fields,
});
const base = {
  'base/kustomization.yaml': kustomization({ resources: ['all.yaml'] }),
  'base/all.yaml': [settings, service],
};

it('builds resources, then components in their order, then its own patches, then images', async () => {
  await write({
    ...base,
    'one/kustomization.yaml': component({ patches: [{ path: 'settings.yaml' }] }),
    'one/settings.yaml': { ...settings, data: { A: 'one', C: 'one' } },
    'overlay/kustomization.yaml': kustomization({
      resources: ['../base'],
      components: ['../one'],
      patches: [{ path: 'settings.yaml' }, { path: 'patch.yaml', target: { kind: 'Service', name: 'st.*' } }],
      images: [{ name: 'fleet/stop', newName: 'registry.example.com/stop', newTag: '1.0' }],
    }),
    'overlay/settings.yaml': { ...settings, data: { A: 'overlay', B: null } },
    'overlay/patch.yaml': [
      { op: 'add', path: '/spec/template/spec/containers/0/env/-', value: { name: 'D', value: '4' } },
      { op: 'add', path: '/metadata/annotations', value: { 'a/b': 'x' } },
      { op: 'replace', path: '/metadata/annotations/a~1b', value: 'y' },
    ],
  });
  const [map, function_] = await buildManifests(join(folder, 'overlay'));
  expect(map).toEqual({ ...settings, data: { A: 'overlay', C: 'one' } });
  expect(function_).toMatchObject({
    metadata: { name: 'stop', annotations: { 'a/b': 'y' } },
    spec: {
      template: {
        spec: { containers: [{ image: 'registry.example.com/stop:1.0', env: [{ name: 'A' }, { name: 'D' }] }] },
      },
    },
  });
});

it('makes ConfigMaps of whole files, by their names', async () => {
  const generator = (options: object) => ({ name: 'boards', namespace: 'x', files: ['boards/a.json'], options });
  await write({
    'kustomization.yaml': kustomization({
      configMapGenerator: [generator({ disableNameSuffixHash: true, labels: { a: 'b' } })],
    }),
    'boards/a.json': 'text',
  });
  expect(await buildManifests(folder)).toEqual([
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'boards', namespace: 'x', labels: { a: 'b' } },
      data: { 'a.json': 'text\n' },
    },
  ]);
  await write({ 'kustomization.yaml': kustomization({ configMapGenerator: [generator({})] }) });
  await expect(buildManifests(folder)).rejects.toThrow(/disableNameSuffixHash/);
});

it.each([
  ['a field it does not know', { namePrefix: 'x-' }, /namePrefix/],
  ['a patch for nobody', { patches: [{ path: 'patch.yaml', target: { name: 'gone' } }] }, /changes nothing/],
  [
    'a patch that leads nowhere',
    { patches: [{ path: 'patch.yaml', target: { kind: 'ConfigMap' } }] },
    /\/spec\/gone is not there/,
  ],
  ['a merge with a list', { patches: [{ path: 'list.yaml' }] }, /merges a list/],
  ['the same object twice', { resources: ['../base', '../base/all.yaml'] }, /is there twice/],
])('refuses %s', async (_what, fields, message) => {
  await write({
    ...base,
    'overlay/kustomization.yaml': kustomization({ resources: ['../base'], ...fields }),
    'overlay/patch.yaml': [{ op: 'replace', path: '/spec/gone', value: 1 }],
    'overlay/list.yaml': { ...service, spec: { template: { spec: { containers: [] } } } },
  });
  await expect(buildManifests(join(folder, 'overlay'))).rejects.toThrow(message);
});

it('takes names of targets as expressions of the whole name', () => {
  const named = (name: string): Manifest => ({ ...service, metadata: { name } });
  const wanted = { group: 'serving.knative.dev', name: 'stop|start' };
  expect(['stop', 'start', 'restart', 'stopped'].map((name) => isMatch(named(name), wanted))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(isMatch(settings, { group: '', kind: 'ConfigMap' })).toBe(true);
});
