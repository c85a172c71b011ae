import { describe, expect, test } from 'vitest';
import type { ClusterObject } from '#shared/adapters/kubernetes/cluster-object.ts';
import { letsOperationsGoOn } from './relevant.ts';

const deployment = (status: unknown, generation = 2): ClusterObject => ({
  kind: 'Deployment',
  metadata: { name: 'odoo-abcdefgh2345', generation },
  status,
});
const job = (status: unknown): ClusterObject => ({ kind: 'Job', metadata: { name: 'odoo-init' }, status });
const condition = (type: string, status: string) => ({ conditions: [{ type, status }] });

describe('what lets an operation go on', () => {
  test.each<[string, ClusterObject, boolean]>([
    ['a Deployment without a status', deployment(undefined), false],
    [
      'one that is not seen yet in this generation',
      deployment({ observedGeneration: 1, ...condition('Available', 'True') }),
      false,
    ],
    ['one that is available', deployment({ observedGeneration: 2, ...condition('Available', 'True') }), true],
    ['one that is not', deployment({ observedGeneration: 2, ...condition('Available', 'False') }), false],
    ['one that makes progress', deployment({ observedGeneration: 2, ...condition('Progressing', 'True') }), false],
    ['one that gave up', deployment({ observedGeneration: 2, ...condition('Progressing', 'False') }), true],
    [
      'one of a server that counts no generations',
      { ...deployment(condition('Available', 'True')), metadata: { name: 'x' } },
      true,
    ],
    ['a Job that has just begun', job({ active: 1 }), false],
    ['a Job that is complete', job(condition('Complete', 'True')), true],
    ['a Job that is about to be', job(condition('Complete', 'False')), false],
    ['a Job that failed', job(condition('Failed', 'True')), true],
    ['a Job that is suspended', job(condition('Suspended', 'True')), false],
    ['a Pod, whatever it says', { kind: 'Pod', metadata: { name: 'x' }, status: condition('Ready', 'True') }, false],
    ['a status of another shape', job({ conditions: 'Complete' }), false],
    ['conditions of another shape', job({ conditions: [{}, { type: 'Complete' }] }), false],
  ])('%s', (_name, object, answer) => {
    expect(letsOperationsGoOn({ object, isDeleted: false })).toBe(answer);
  });

  test.each([
    ['Deployment', true],
    ['Job', true],
    ['Pod', false],
  ])('a %s that is gone', (kind, answer) => {
    expect(letsOperationsGoOn({ object: { kind, metadata: { name: 'x' } }, isDeleted: true })).toBe(answer);
  });
});
