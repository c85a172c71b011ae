import { describe, expect, test } from 'vitest';
import { containerEnvironment, expand, type Sources } from './environment.ts';
import type { Container } from './objects.ts';

const encode = (text: string) => Buffer.from(text).toString('base64');
const sources: Sources = {
  secret: async (name) => (name === 's' ? { metadata: { name }, data: { password: encode('p$$w') } } : undefined),
  configMap: async (name) => (name === 'c' ? { metadata: { name }, data: { mode: 'fast' } } : undefined),
};
const pod = { metadata: { name: 'web-1', namespace: 'tenants', labels: { app: 'web' } }, spec: { containers: [] } };
const environment = (fields: Partial<Container>) =>
  containerEnvironment({ name: 'main', image: 'i', ...fields }, { pod, podIP: '127.1.2.3' }, sources);

describe('expansion', () => {
  test.each([
    ['$(A)', '1'],
    ['x$(A)y$(B)z', 'x1y2z'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$(UNKNOWN)', '$(UNKNOWN)'],
    ['$A ${A} $', '$A ${A} $'],
    ['$(A', '$(A'],
    ['$(toString)', '$(toString)'],
  ])('of %s gives %s', (text, expected) => {
    expect(expand(text, { A: '1', B: '2' })).toBe(expected);
  });
});

describe('variables', () => {
  test('come from literals, Secrets, ConfigMaps and the pod; earlier ones may be named', async () => {
    const seen = await environment({
      env: [
        { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 's', key: 'password' } } },
        { name: 'MODE', valueFrom: { configMapKeyRef: { name: 'c', key: 'mode' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'URL', value: '$(PASSWORD)@$(IP)/$(LATER)' },
        { name: 'LATER', value: 'x' },
      ],
    });
    expect(seen).toEqual({
      PASSWORD: 'p$$w',
      MODE: 'fast',
      IP: '127.1.2.3',
      APP: 'web',
      URL: 'p$$w@127.1.2.3/$(LATER)',
      LATER: 'x',
    });
  });

  test('of envFrom come first and may have a prefix', async () => {
    const envFrom = [{ prefix: 'DB_', secretRef: { name: 's' } }, { configMapRef: { name: 'c' } }];
    expect(await environment({ envFrom, env: [{ name: 'mode', value: 'slow' }] })).toEqual({
      DB_password: 'p$$w',
      mode: 'slow',
    });
  });

  test('that are optional may be missing; others are waited for with a reason', async () => {
    const env = (key: string, optional: boolean, name = 's') => [
      { name: 'X', valueFrom: { secretKeyRef: { name, key, optional } } },
    ];
    expect(await environment({ env: env('nothing', true) })).toEqual({});
    await expect(environment({ env: env('nothing', false) })).rejects.toThrow("couldn't find key nothing in secret s");
    await expect(environment({ env: env('k', false, 'none') })).rejects.toThrow('secret "none" not found');
    await expect(environment({ envFrom: [{ configMapRef: { name: 'none' } }] })).rejects.toThrow('configmap "none"');
  });
});
