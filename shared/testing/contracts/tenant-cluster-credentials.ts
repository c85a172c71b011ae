import { describe, expect, it } from 'vitest';
import { type Kind, kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import type { CredentialsStore } from '#shared/domain/instance/ports.ts';

/** The part that is tested, and the server behind it as anybody else reaches it. */
type Reached = {
  adapter: { credentials: CredentialsStore };
  create(kind: Kind, body: object): Promise<void>;
};

/** The Secret with the values that an instance was made with: made once, and removed by nobody older. */
export function credentialsContract(name: string, reached: () => Reached): void {
  describe(`credentials on ${name}`, () => {
    const fenced = (instance: Instance, fence = 5) => ({ instanceId: instance.id, fence });

    it('are created once; whoever comes later gets the first values', async () => {
      const { adapter } = reached();
      const instance = exampleInstance();
      const { credentials } = exampleRuntime();
      expect(await adapter.credentials.read(instance)).toBeUndefined();
      expect(await adapter.credentials.create(instance, credentials, fenced(instance))).toEqual(credentials);
      const other = { databasePassword: 'x', adminPassword: 'y', masterPassword: 'z' };
      expect(await adapter.credentials.create(instance, other, fenced(instance, 9))).toEqual(credentials);
      expect(await adapter.credentials.read(instance)).toEqual(credentials);
    });

    it('of somebody else are not taken', async () => {
      const { adapter, create } = reached();
      const instance = exampleInstance();
      const name = `odoo-${instance.id}-credentials`;
      await create(kinds.secret, { metadata: { name }, data: {} });
      await expect(adapter.credentials.read(instance)).rejects.toMatchObject({ code: 'foreign-object' });
      const creation = adapter.credentials.create(instance, exampleRuntime().credentials, fenced(instance));
      await expect(creation).rejects.toMatchObject({ code: 'foreign-object' });
    });

    it('are removed by nobody older than who made them', async () => {
      const { adapter } = reached();
      const instance = exampleInstance();
      await adapter.credentials.create(instance, exampleRuntime().credentials, fenced(instance));
      await expect(adapter.credentials.remove(instance, fenced(instance, 4))).rejects.toMatchObject({ code: 'fenced' });
      await adapter.credentials.remove(instance, fenced(instance));
      expect(await adapter.credentials.read(instance)).toBeUndefined();
    });
  });
}
