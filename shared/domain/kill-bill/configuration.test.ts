import { describe, expect, it } from 'vitest';
import { readFields } from './configuration.ts';

const acme = { instance_name: 'Acme', instance_admin_email: 'owner@acme.example', instance_database_name: 'acme_odoo' };
const read = (values: Record<string, string>) =>
  readFields(Object.entries(values).map(([name, value]) => ({ name, value })));

describe('the custom fields of a subscription', () => {
  it('name what to make, once the three that are needed are there', () => {
    expect(read(acme)).toEqual({ configuration: { name: 'acme-odoo', owner: { email: 'owner@acme.example' } } });
  });

  it.each(Object.keys(acme))('say nothing as long as %s is missing or empty', (name) => {
    expect(read({ ...acme, [name]: ' ' })).toEqual({});
  });

  it('prefer the subdomain for the host', () => {
    expect(read({ ...acme, instance_subdomain: 'Shop' })).toMatchObject({ configuration: { name: 'shop' } });
  });

  it.each([
    ['17.0', 'odoo-17'],
    ['18', 'odoo-18'],
    ['odoo-19', 'odoo-19'],
    ['latest', undefined],
  ])('with the version %j make the image %j', (version, image) => {
    expect(read({ ...acme, instance_odoo_version: version }).configuration?.image).toBe(image);
  });

  it('name the instance that is paid for, and then make none', () => {
    expect(read({ ...acme, reactivation: 'true', target_instance_id: 'k3n5q2x7a4bc' })).toEqual({
      instance: 'k3n5q2x7a4bc',
    });
  });

  it('that name an instance of the older platform are told to people', () => {
    expect(read({ target_instance_id: '0b1c2d3e-4f5a-4b3a-9e8f-0b1c2d3e4f5a' }).problem).toContain(
      'target_instance_id',
    );
  });

  it.each([
    ['instance_subdomain', 'no host!'],
    ['instance_admin_email', 'nobody'],
    ['instance_custom_addons', 'sale, ../../etc/passwd'],
    ['instance_subdomain', 'x\nadmin_passwd=1'],
  ])('whose %s is %j make nothing, and the problem does not repeat it', (name, value) => {
    const { configuration, problem } = read({ ...acme, [name]: value });
    expect(configuration).toBeUndefined();
    expect(problem).toBeDefined();
    expect(problem).not.toContain(value);
  });
});
