import { expect, it } from 'vitest';
import type { FleetUnderTest } from './fleet.fixture.ts';

/** The Job that makes the tables of the platform's database, straight at PostgreSQL, before any function is there. */
export function migrationTests(fleet: () => FleetUnderTest): void {
  const noted = () => fleet().rows<{ name: string }>('select name from schema_migrations order by id');

  it('has made all tables of an empty database before the functions came', async () => {
    const { migrated, kubectl } = fleet();
    expect(migrated.applied[0]).toMatch(/^0001_/);
    expect((await noted()).map(({ name }) => name)).toEqual(expect.arrayContaining(migrated.applied));
    const status = await kubectl.run(['-n', 'odoo-fleet', 'get', 'job/migrate', '-o', 'jsonpath={.status.succeeded}']);
    expect(status).toBe('1');
  });

  it('does nothing the second time', async () => {
    const before = await noted();
    expect(await fleet().migrate()).toMatchObject({ applied: [] });
    expect(await noted()).toEqual(before);
  }, 180_000);
}
