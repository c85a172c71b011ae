import { expect, it } from 'vitest';
import { isAllowed, type NetworkPolicy, type Place } from './network-reach.ts';

const web: Place = { pod: { namespace: 'a', labels: { app: 'web' }, ports: { http: 8080 } } };
const other: Place = { pod: { namespace: 'b', labels: { app: 'other' } } };
const outside: Place = { address: '192.0.2.7' };

function policy(spec: NetworkPolicy['spec'], namespace = 'a'): NetworkPolicy {
  return { metadata: { name: 'one', namespace }, spec };
}
const deny = policy({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
const asks = (from: Place, to: Place, policies: NetworkPolicy[], port = 8080) =>
  isAllowed(from, to, { policies, port });

it('lets everything through where no policy selects the pod', () => {
  expect(asks(other, web, [])).toBe(true);
  expect(asks(other, web, [policy({ podSelector: { matchLabels: { app: 'none' } } })])).toBe(true);
  expect(asks(other, web, [policy({ podSelector: {} }, 'b')])).toBe(true);
});

it('refuses both ways by a policy that allows nothing', () => {
  expect([asks(other, web, [deny]), asks(web, other, [deny]), asks(web, outside, [deny])]).toEqual([
    false,
    false,
    false,
  ]);
});

it('adds up what policies allow, and wants both sides to allow it', () => {
  const opened = policy({ podSelector: {}, ingress: [{ from: [{ namespaceSelector: {} }] }] });
  expect(asks(other, web, [deny, opened])).toBe(true);
  expect(asks(other, web, [deny, opened, policy({ podSelector: {}, policyTypes: ['Egress'] }, 'b')])).toBe(false);
});

it('takes Ingress for meant where a policy names no direction', () => {
  const unnamed = policy({ podSelector: {} });
  expect([asks(other, web, [unnamed]), asks(web, other, [unnamed])]).toEqual([false, true]);
});

it('means its own namespace by a pod selector, and both by both', () => {
  const from = (peer: object) => policy({ podSelector: {}, ingress: [{ from: [peer] }] });
  expect(asks(other, web, [from({ podSelector: {} })])).toBe(false);
  const namespaceSelector = {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['b'] }],
  };
  expect(asks(other, web, [from({ namespaceSelector })])).toBe(true);
  expect(asks(other, web, [from({ namespaceSelector, podSelector: { matchLabels: { app: 'x' } } })])).toBe(false);
});

it.each([
  [{ port: 8080 }, true],
  [{ port: 'http' }, true],
  [{ port: 'https' }, false],
  [{ port: 8000, endPort: 9000 }, true],
  [{ port: 8081 }, false],
  [{ port: 8080, protocol: 'UDP' }, false],
  [{}, true],
])('opens the port %o: %s', (port, expected) => {
  expect(asks(other, web, [policy({ podSelector: {}, ingress: [{ ports: [port] }] })])).toBe(expected);
});

it.each([
  [{ cidr: '192.0.2.0/24' }, true],
  [{ cidr: '192.0.2.0/24', except: ['192.0.2.7/32'] }, false],
  [{ cidr: '198.51.100.0/24' }, false],
])('knows addresses in %o: %s', (ipBlock, expected) => {
  expect(
    asks(web, outside, [policy({ podSelector: {}, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock }] }] })]),
  ).toBe(expected);
});
