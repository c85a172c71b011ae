import { expect, it } from 'vitest';
import { podText, reportText, waitingPods, whyNotReady } from './node-report.ts';

const condition = (type: string, status: string, reason = '', message = '') => ({ type, status, reason, message });
const node = (...conditions: ReturnType<typeof condition>[]) => ({ status: { conditions } });

it('says in the node’s own words why it is not ready, pressure included', () => {
  const seen = node(
    condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory'),
    condition('DiskPressure', 'True', 'KubeletHasDiskPressure', 'kubelet has disk pressure'),
    condition('Ready', 'False', 'KubeletNotReady', 'container runtime network not ready:\ncni plugin not initialized'),
  );
  expect(whyNotReady(seen)).toBe(
    'Ready is False (KubeletNotReady: container runtime network not ready: cni plugin not initialized); ' +
      'DiskPressure is True (KubeletHasDiskPressure: kubelet has disk pressure)',
  );
});

it('tells a node that is not there from one that was not reported on', () => {
  expect(whyNotReady(undefined)).toMatch(/not registered/);
  expect(whyNotReady({})).toMatch(/has not reported/);
});

it('finds nothing missing when the node is ready', () => {
  expect(whyNotReady(node(condition('Ready', 'True'), condition('PIDPressure', 'False')))).toBeUndefined();
});

it('tells of each waiting pod what it waits for', () => {
  const metadata = { namespace: 'kube-system', name: 'a' };
  const ready = { metadata, status: { phase: 'Running', conditions: [condition('Ready', 'True')] } };
  const done = { metadata, status: { phase: 'Succeeded' } };
  const unscheduled = {
    metadata,
    status: {
      phase: 'Pending',
      conditions: [condition('PodScheduled', 'False', 'Unschedulable', '0/1 nodes are available')],
    },
  };
  const state = { waiting: { reason: 'ErrImageNeverPull', message: 'not present' } };
  const imageless = { metadata, status: { phase: 'Pending', containerStatuses: [{ state: {} }, { state }] } };
  const ended = { restartCount: 2, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } };
  const restarted = {
    metadata,
    status: {
      phase: 'Running',
      conditions: [condition('Ready', 'False', 'ContainersNotReady')],
      containerStatuses: [ended],
    },
  };
  const pods = [ready, done, unscheduled, imageless, restarted, { metadata, status: {} }];
  expect(waitingPods(pods).map(podText)).toEqual([
    'kube-system/a: Pending (Unschedulable: 0/1 nodes are available)',
    'kube-system/a: Pending (ErrImageNeverPull: not present)',
    'kube-system/a: Running (2 restarts, last end: OOMKilled, exit code 137)',
    'kube-system/a: unknown',
  ]);
});

it('puts daemons, node, pods and logs into one text that is read without the machine', () => {
  const pods = Array.from({ length: 12 }, (_, index) => `n/pod-${index}: Pending`);
  const text = reportText({
    dead: ['kubelet', 'proxy'],
    node: 'it is not registered',
    pods,
    logs: [
      { name: 'kubelet', lines: ['E1 no', 'E2 again'] },
      { name: 'containerd', lines: [] },
    ],
  });
  expect(text.split('\n')).toEqual([
    'daemons that do not run: kubelet, proxy',
    'node fleet: it is not registered',
    'pods that are not ready:',
    ...pods.slice(0, 10).map((line) => `  ${line}`),
    '  and 2 more',
    'last lines of kubelet:',
    '  E1 no',
    '  E2 again',
    'last lines of containerd:',
    '  (none)',
  ]);
});
