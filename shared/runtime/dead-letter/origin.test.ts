import { expect, it } from 'vitest';
import { originAddress } from './origin.ts';

const inCluster = { functionUrl: 'http://{function}.odoo-fleet.svc.cluster.local', functions: ['provision', 'stop'] };
const inSandbox = { functionUrl: 'http://127.0.0.1:4711/{function}', functions: ['provision', 'stop'] };
const letterFor = (origin: string) => ({ receivedBy: 'dead-letter', origin });
const provision = 'http://provision.odoo-fleet.svc.cluster.local';

it.each([provision, `${provision}/`, `${provision}:80/`, 'HTTP://Provision.Odoo-Fleet.svc.cluster.local'])(
  '%s is the function provision',
  (origin) => {
    expect(originAddress(letterFor(origin), inCluster)).toBe(provision);
  },
);

it.each([
  'http://evil.example/',
  'http://provision.odoo-fleet.svc.cluster.local.evil.example/',
  `${provision}:8080/`,
  `${provision}/other`,
  `${provision}/?a=b`,
  'https://provision.odoo-fleet.svc.cluster.local/',
  'http://user@provision.odoo-fleet.svc.cluster.local/',
  'http://dead-letter.odoo-fleet.svc.cluster.local/',
  'http://{function}.odoo-fleet.svc.cluster.local/',
  'provision',
  '',
])('%j is none of ours', (origin) => {
  expect(originAddress(letterFor(origin), inCluster)).toBeUndefined();
});

it('finds functions by their path, too', () => {
  expect(originAddress(letterFor('http://127.0.0.1:4711/stop'), inSandbox)).toBe('http://127.0.0.1:4711/stop');
  expect(originAddress(letterFor('http://127.0.0.1:4711/stop/x'), inSandbox)).toBeUndefined();
});

it('an event that a function refused belongs to that function', () => {
  expect(originAddress({ receivedBy: 'stop', origin: null }, inCluster)).toMatch(/^http:\/\/stop\./);
  expect(originAddress({ receivedBy: 'dead-letter', origin: null }, inCluster)).toBeUndefined();
});
