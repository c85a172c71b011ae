import { describe, expect, test } from 'vitest';
import { resourceAdd } from '#events/knative/resource-add.ts';
import { type ClusterObject, instanceOf } from './cluster-object.ts';
import { seenOf } from './seen.ts';

const id = 'abcdefgh2345';
type Change = Partial<Omit<ClusterObject, 'metadata'>> & { metadata?: Partial<ClusterObject['metadata']> };
const web = (status: unknown, change: Change = {}): ClusterObject => ({
  kind: 'Deployment',
  spec: { replicas: 1 },
  status,
  ...change,
  metadata: { name: `odoo-${id}`, generation: 2, ...change.metadata },
});
const condition = (type: string, status: string, message?: string) => ({ type, status, message });
const up = { observedGeneration: 2, availableReplicas: 1, conditions: [condition('Available', 'True')] };
const down = {
  observedGeneration: 2,
  conditions: [condition('Available', 'False', 'Deployment does not have minimum availability.')],
};
const see = (object: ClusterObject) => seenOf({ object, isDeleted: false }, id);

describe('the web Deployment', () => {
  test('is available with at least one available pod', () => {
    expect(see(web(up))).toEqual({ what: 'available' });
    const some = { ...down, availableReplicas: 1 };
    expect(see(web(some, { spec: { replicas: 3 } }))).toEqual({ what: 'available' });
  });

  test('is unavailable when its controller says so, in its words', () => {
    expect(see(web(down))).toEqual({
      what: 'unavailable',
      reason: 'Deployment does not have minimum availability. 0 of 1 pods are available.',
    });
  });

  test.each([
    ['ReplicaFailure', 'True', 'exceeded quota: tenants'],
    ['Progressing', 'False', 'ReplicaSet "x" has timed out progressing.'],
  ])('tells the cause %s before what follows from it', (type, status, message) => {
    const conditions = [...down.conditions, condition(type, status, message)];
    expect(see(web({ ...down, conditions }))).toMatchObject({ reason: expect.stringContaining(message) });
  });

  test('without a message is unavailable all the same', () => {
    const conditions = [condition('Available', 'False')];
    expect(see(web({ ...down, conditions }))).toMatchObject({ reason: expect.stringMatching(/^Available is False\./) });
  });

  test('gives a reason that fits a row and an event, whatever the cluster wrote', () => {
    const conditions = [condition('ReplicaFailure', 'True', `two\nlines\u0000${'x'.repeat(2_000)}`)];
    const seen = see(web({ ...down, conditions }));
    expect(seen).toMatchObject({ what: 'unavailable', reason: expect.stringMatching(/^two lines x+…$/) });
  });

  test('that was deleted is gone, also when it wanted no pods', () => {
    const object = web(up, { spec: { replicas: 0 } });
    expect(seenOf({ object, isDeleted: true }, id)).toEqual({
      what: 'gone',
      reason: `Deployment odoo-${id} was deleted.`,
    });
  });
});

describe('nothing is said by', () => {
  test.each<[string, ClusterObject]>([
    ['a Deployment that wants no pods', web(up, { spec: { replicas: 0 } })],
    ['one that its controller has not looked at since it changed', web({ ...up, observedGeneration: 1 })],
    ['one without a status', web(undefined)],
    ['one whose pods have only begun', web({ observedGeneration: 2, conditions: [condition('Progressing', 'True')] })],
    ['one that is being deleted', web(up, { metadata: { deletionTimestamp: '2026-11-21T00:00:00Z' } })],
    ['the cron Deployment', web(down, { metadata: { name: `odoo-${id}-cron` } })],
    ['another instance’s Deployment', web(down, { metadata: { name: 'odoo-bbbbbbbb2345' } })],
    ['a Job', web(up, { kind: 'Job' })],
  ])('%s', (_name, object) => {
    expect(see(object)).toBeUndefined();
  });

  test('the cron Deployment that was deleted', () => {
    const object = web(up, { metadata: { name: `odoo-${id}-cron` } });
    expect(seenOf({ object, isDeleted: true }, id)).toBeUndefined();
  });
});

test('an object names its instance in a label', () => {
  expect(instanceOf(web({}))).toBeUndefined();
  expect(instanceOf(web({}, { metadata: { labels: { 'odoofleet.dev/instance': id } } }))).toBe(id);
});

test('the events of the cluster’s source are understood', () => {
  const object = resourceAdd.example as ClusterObject;
  expect(seenOf({ object, isDeleted: false }, 'k3n5q2x7a4bc')).toEqual({ what: 'available' });
});
