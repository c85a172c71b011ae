import { describe, expect, test } from 'vitest';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { type AdmissionFacts, refuseProvision, type WantedInstance } from './admission.ts';
import { reservedNames } from './reserved-names.ts';

const wanted: WantedInstance = {
  instanceId: 'abcdefgh2345',
  customerId: 'c-1',
  name: 'acme',
  planId: 'small',
  imageId: 'odoo-19',
  clusterId: 'default',
  modules: [],
  settings: {},
  adminLogin: 'owner@acme.example',
  language: 'en_US',
};
const facts: AdmissionFacts = {
  quota: 5,
  liveInstances: 0,
  hasPlan: true,
  hasImage: true,
  baseDomain: 'odoo.example',
  hostIsTaken: false,
};
const refuse = (change: Partial<WantedInstance>, found: Partial<AdmissionFacts> = {}) =>
  refuseProvision({ ...wanted, ...change }, { ...facts, ...found });

describe('a request', () => {
  test('that is in order is not refused', () => {
    expect(refuse({})).toBeUndefined();
    expect(refuse({}, { liveInstances: 4 })).toBeUndefined();
  });

  test('like the one the catalogue shows is not refused', () => {
    const { name, settings = {} } = provisionRequested.example;
    expect(refuse({ name, settings })).toBeUndefined();
  });

  test.each<[string, Partial<WantedInstance>, Partial<AdmissionFacts>, string, string]>([
    [
      'a cluster that is not there',
      {},
      { baseDomain: undefined },
      'misconfigured',
      'There is no cluster default in the records. Add its row, or set CLUSTER_ID.',
    ],
    [
      'a reserved name',
      { name: 'www' },
      {},
      'name-reserved',
      'The name www is reserved for the platform. Choose another name.',
    ],
    [
      'an unknown plan',
      { planId: 'huge' },
      { hasPlan: false },
      'unknown-plan',
      'There is no plan huge. Use the id of a plan that is offered.',
    ],
    [
      'an unknown image',
      { imageId: 'odoo-7' },
      { hasImage: false },
      'unknown-image',
      'There is no active image odoo-7. Use the id of an image that is offered.',
    ],
    ['a taken host', {}, { hostIsTaken: true }, 'host-taken', 'The name acme is taken. Choose another name.'],
    [
      'a full quota',
      {},
      { liveInstances: 5 },
      'quota-exceeded',
      'The customer has 5 instances and may have 5. Terminate one, or raise the quota.',
    ],
    [
      'a quota that was lowered',
      {},
      { liveInstances: 7, quota: 0 },
      'quota-exceeded',
      'The customer has 7 instances and may have 0. Terminate one, or raise the quota.',
    ],
  ])('for %s is refused with the reason', (_name, change, found, code, message) => {
    expect(refuse(change, found)).toMatchObject({ code, message });
  });

  test('for settings that are the platform’s names every one of them', () => {
    const refusal = refuse({ settings: { admin_passwd: 'x', transient_age_limit: 2, db_host: 'evil' } });
    expect(refusal).toMatchObject({ code: 'invalid-request' });
    expect(refusal?.message).toContain('"admin_passwd"');
    expect(refusal?.message).toContain('"db_host"');
    expect(refusal?.message).not.toContain('transient_age_limit');
    // what was asked for may be a secret in the wrong place
    expect(refusal?.message).not.toContain('evil');
  });

  test.each(reservedNames)('for the reserved name %s is refused', (name) => {
    expect(refuse({ name })?.code).toBe('name-reserved');
  });

  test('with several faults is told the first, our own before the sender’s', () => {
    const found = { hasPlan: false, hostIsTaken: true, liveInstances: 9 };
    expect(refuse({ name: 'www' }, { ...found, baseDomain: undefined })?.code).toBe('misconfigured');
    expect(refuse({ name: 'www' }, found)?.code).toBe('name-reserved');
    expect(refuse({}, found)?.code).toBe('unknown-plan');
    expect(refuse({}, { ...found, hasPlan: true })?.code).toBe('host-taken');
  });
});
