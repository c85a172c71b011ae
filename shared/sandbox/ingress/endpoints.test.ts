import { describe, expect, test } from 'vitest';
import type { Pod } from '../kubernetes-node/objects.ts';
import { readyEndpoints, servicePort } from './endpoints.ts';
import type { Service } from './objects.ts';

const service: Service = {
  metadata: { name: 'web' },
  spec: {
    selector: { app: 'web' },
    ports: [
      { name: 'http', port: 80, targetPort: 'odoo' },
      { name: 'chat', port: 8072 },
    ],
  },
};
const pod = (address: string, { ready = true, labels = { app: 'web' }, deleted = false } = {}): Pod => ({
  metadata: { name: address, labels, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
  spec: { containers: [{ name: 'main', image: 'i', ports: [{ name: 'odoo', containerPort: 8069 }] }] },
  status: { phase: 'Running', podIP: address, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});
const [http = { port: 0 }, chat = { port: 0 }] = service.spec.ports ?? [];

describe('traffic', () => {
  test('goes only to ready pods with all selected labels that are not being deleted', () => {
    const pods = [
      pod('127.1.0.1'),
      pod('127.1.0.2', { ready: false }),
      pod('127.1.0.3', { labels: { app: 'other' } }),
      pod('127.1.0.4', { deleted: true }),
      pod('127.1.0.5'),
    ];
    expect(readyEndpoints(service, http, pods)).toEqual([
      { address: '127.1.0.1', port: 8069 },
      { address: '127.1.0.5', port: 8069 },
    ]);
  });

  test('goes to the port of the same number when the Service names no target', () => {
    expect(readyEndpoints(service, chat, [pod('127.1.0.1')])).toEqual([{ address: '127.1.0.1', port: 8072 }]);
  });

  test('goes nowhere without a selector, and to unready pods only if the Service publishes them', () => {
    const bare = { ...service, spec: { ports: service.spec.ports ?? [] } };
    expect(readyEndpoints(bare, chat, [pod('127.1.0.1')])).toEqual([]);
    const eager = { ...service, spec: { ...service.spec, publishNotReadyAddresses: true } };
    expect(readyEndpoints(eager, chat, [pod('127.1.0.1', { ready: false })])).toHaveLength(1);
  });
});

test('a port is found by number, by name, or as the only one', () => {
  expect(servicePort(service, { number: 8072 })).toBe(chat);
  expect(servicePort(service, { name: 'http' })).toBe(http);
  expect(servicePort(service, { number: 81 })).toBeUndefined();
  expect(servicePort(service)).toBeUndefined();
  expect(servicePort({ ...service, spec: { ports: [chat] } })).toBe(chat);
});
