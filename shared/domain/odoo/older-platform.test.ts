import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { importRequested } from '#events/instance/import.ts';
import { adoptionOf, type Offer, olderInstanceSchema } from './older-platform.ts';

const row = {
  id: '9b2f4c1e-7a53-4c0e-9d1b-0a1b2c3d4e5f',
  customer_id: '11111111-2222-4333-8444-555555555555',
  name: 'Acme & Söhne',
  odoo_version: '17.0',
  status: 'running',
  admin_email: 'owner@acme.example',
  subdomain: null,
  database_name: 'acme_erp',
  db_name: 'odoo_1111111122224333_9b2f4c1e',
  db_host: 'postgres-pool-1',
  db_port: 5432,
  cpu_limit: '1.0',
  memory_limit: '2G',
  storage_limit: '10G',
  custom_addons: [],
  environment_vars: { ODOO_SECRET: 'x' },
};
const offer = (): Offer => ({
  plans: [
    { id: 'large', cpuMillis: 4_000, memoryMib: 8_192, diskGib: 50 },
    { id: 'small', cpuMillis: 1_000, memoryMib: 2_048, diskGib: 10 },
  ],
  images: [
    { id: 'odoo-17', odooVersion: '17.0' },
    { id: 'odoo-19', odooVersion: '19.0' },
  ],
  names: new Set(),
});
const adopt = (change: object, of = offer()) => adoptionOf(v.parse(olderInstanceSchema, { ...row, ...change }), of);

describe('a row of the older platform', () => {
  it('becomes a request that the import understands, the same one each time', () => {
    const adoption = adopt({});
    expect(adoption).toEqual({
      outcome: 'import',
      request: {
        instance: expect.stringMatching(/^[a-z2-7]{12}$/),
        idempotencykey: `older-platform-${row.id}`,
        customer: row.customer_id,
        name: 'acme-erp',
        plan: 'small',
        image: 'odoo-17',
        owner: { email: 'owner@acme.example' },
      },
      database: { host: 'postgres-pool-1', port: 5432, database: 'odoo_1111111122224333_9b2f4c1e' },
      afterwards: null,
    });
    expect(adopt({})).toEqual(adoption);
    if (adoption.outcome !== 'import') throw new Error('it is skipped');
    const from = { kind: 'odoo-zip', key: `imports/${adoption.request.instance}/acme.zip` };
    expect(v.is(importRequested.schema, { ...adoption.request, from })).toBe(true);
  });

  it.each([
    ['paused', 'suspend'],
    ['stopped', 'stop'],
    ['running', null],
    ['error', null],
    ['container_missing', null],
  ])('that is %s is afterwards told to %s', (status, afterwards) => {
    expect(adopt({ status })).toMatchObject({ outcome: 'import', afterwards });
  });

  it.each([
    [{ status: 'terminated' }, /terminated/],
    [{ status: 'creating' }, /never finished/],
    [{ odoo_version: '16' }, /no active image has Odoo 16/],
    [{ odoo_version: 'x' }, /no active image/],
    [{ memory_limit: '64G' }, /no plan/],
    [{ custom_addons: ['sale_extra'] }, /addons of its own/],
  ])('%j is skipped, and says why', (change, reason) => {
    expect(adopt(change)).toEqual({ outcome: 'skip', reason: expect.stringMatching(reason) });
  });

  it('gets the smallest plan that has what it had, and a name that is free and a DNS label', () => {
    expect(adopt({ cpu_limit: 1.5 })).toMatchObject({ request: { plan: 'large' } });
    expect(adopt({ storage_limit: '20G' })).toMatchObject({ request: { plan: 'large' } });
    const known = offer();
    expect(adopt({ subdomain: 'Müller_GmbH' }, known)).toMatchObject({ request: { name: 'mu-ller-gmbh' } });
    expect(adopt({ subdomain: 'mu-ller-gmbh' }, known)).toMatchObject({ request: { name: 'mu-ller-gmbh-9b2f' } });
    expect(adopt({ subdomain: '3m' })).toMatchObject({ request: { name: 'odoo-3m' } });
    expect(adopt({ subdomain: 'x'.repeat(50) })).toMatchObject({ request: { name: 'x'.repeat(35) } });
  });
});
