import { describe, expect, it } from 'vitest';
import { whyPodWaits, whyUnavailable } from './availability.ts';

describe('availability', () => {
  const deployment = (status: object, generation = 2, replicas = 1) => ({
    metadata: { generation },
    spec: { replicas, selector: {}, template: {} },
    status,
  });

  it('needs the controller to have seen the newest generation', () => {
    const status = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 };
    expect(whyUnavailable(deployment(status), 'odoo-a')).toBe('odoo-a has not been looked at yet');
    expect(whyUnavailable(deployment({ ...status, observedGeneration: 2 }), 'odoo-a')).toBeUndefined();
  });

  it('tells why there are no pods', () => {
    const conditions = [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: tenants' }];
    expect(whyUnavailable(deployment({ observedGeneration: 2, conditions }), 'odoo-a')).toBe('exceeded quota: tenants');
    expect(whyUnavailable(undefined, 'odoo-a')).toBe('Deployment odoo-a is not there');
  });

  it('waits for the last pod of an instance that is to stop', () => {
    expect(whyUnavailable(deployment({ observedGeneration: 2, replicas: 1 }, 2, 0), 'a')).toBeDefined();
    expect(whyUnavailable(deployment({ observedGeneration: 2 }, 2, 0), 'a')).toBeUndefined();
  });

  it('tells what a pod waits for in the cluster’s words', () => {
    const pod = (status: object) => ({ metadata: { name: 'p' }, status });
    const container = { name: 'odoo', image: 'x', imageID: '', ready: false, restartCount: 2 };
    const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 10s' };
    const crashed = { ...container, state: { waiting }, lastState: { terminated: { exitCode: 1 } } };
    expect(whyPodWaits(pod({ containerStatuses: [crashed] }))).toBe(
      'p: CrashLoopBackOff, last exit code 1: back-off 10s',
    );
    const creating = { ...container, state: { waiting: { reason: 'ContainerCreating' } } };
    expect(whyPodWaits(pod({ containerStatuses: [creating] }))).toBeUndefined();
    const condition = { type: 'PodScheduled', status: 'False', message: '0/1 nodes are available' };
    expect(whyPodWaits(pod({ conditions: [condition] }))).toBe('p is not scheduled: 0/1 nodes are available');
  });
});
