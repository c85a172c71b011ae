import { expect, it } from 'vitest';
import { statusText } from './status.ts';

const pod = { namespace: 'n', name: 'waiting', phase: 'Pending', isReady: false };

it('tells which daemon does not run and which pods are not ready, and how to use the cluster', () => {
  const text = statusText({
    isRunning: false,
    kubeconfig: '/k',
    logs: '/l',
    daemons: [{ name: 'etcd', pid: 7, residentMib: 50 }, { name: 'kubelet' }],
    pods: [pod, { ...pod, name: 'done', phase: 'Succeeded' }, { ...pod, name: 'up', phase: 'Running', isReady: true }],
  });
  expect(text.split('\n')).toEqual([
    'etcd                 process 7, 50 MiB',
    'kubelet              does not run',
    '',
    '3 pods, 1 of them not ready',
    '  n/waiting: Pending',
    '',
    'export KUBECONFIG=/k',
    'logs in /l',
    expect.stringMatching(/^Knative Services: http:\/\/10\.97\.0\.80\//),
    '',
    'The cluster does not run.',
  ]);
});
