import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseManifests } from '#scripts/checks/kustomize.ts';
import { isAllowed, type NetworkPolicy } from './network-reach.ts';

const file = join(import.meta.dirname, '../../base/network-policies.yaml');
const policies = parseManifests(readFileSync(file, 'utf8'), file) as unknown as NetworkPolicy[];

const reaches = (name: string, address: string, port: number) =>
  isAllowed(
    { pod: { namespace: 'odoo-fleet', labels: { 'serving.knative.dev/service': name } } },
    { address },
    { policies, port },
  );

// addresses of Services and pods, of nodes, and of the cloud's own service that tells machines their credentials
const inside = ['10.96.0.1', '172.20.0.1', '192.168.1.10', '100.64.0.1', '169.254.169.254', 'fd00::1'];

it.each(['api', 'webhook'])('let %s, which strangers have a say in, reach the internet and nothing inside', (name) => {
  expect(inside.filter((address) => reaches(name, address, 443))).toEqual([]);
  expect([reaches(name, '203.0.113.7', 443), reaches(name, '2001:db8::7', 443)]).toEqual([true, true]);
});
