import { describe, expect, it } from 'vitest';
import { kinds, pathOf } from './kinds.ts';

describe('paths', () => {
  it('are those of the core and of named groups', () => {
    expect(pathOf({ kind: kinds.secret, namespace: 'n', name: 'a' })).toBe('/api/v1/namespaces/n/secrets/a');
    expect(pathOf({ kind: kinds.deployment, namespace: 'n', query: { limit: '5' } })).toBe(
      '/apis/apps/v1/namespaces/n/deployments?limit=5',
    );
  });

  it('cannot be left by a name', () => {
    expect(pathOf({ kind: kinds.secret, namespace: 'n', name: '../x?y' })).toBe(
      '/api/v1/namespaces/n/secrets/..%2Fx%3Fy',
    );
  });
});
