import { expect, it } from 'vitest';
import type { FleetUnderTest } from './fleet.fixture.ts';

/** From an event at the Broker to a real Odoo. The first one also builds the template that the others are copied from. */
export function provisionTests(fleet: () => FleetUnderTest): void {
  it('provisions an instance from an event at the Broker to the login page of a real Odoo', async () => {
    const { kubectl, page, provision, settled } = fleet();
    const instance = await provision('acme');
    expect(await settled(instance, { limitMs: 600_000 })).toBe('running');
    expect(await kubectl.run(['-n', 'odoo-tenants', 'get', 'deployments,services,jobs'])).toContain(instance);
    const { status, body } = await page(instance);
    expect(status).toBe(200);
    expect(body).toContain('name="login"');
  }, 700_000);
}
