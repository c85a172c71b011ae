import { randomBytes } from 'node:crypto';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import type { CredentialsStore } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** 144 random bits as 24 characters of base64url: safe in odoo.conf, URLs and shells. */
function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

/**
 * Makes the instance's credentials Secret before anything takes a value from it. Create-only: a second run finds the
 * first one's values, so no step ever works with a password that another has replaced.
 */
export function createCredentials(ports: { credentials: CredentialsStore }): Step<InstanceContext> {
  return {
    name: 'credentials',
    async look(context) {
      context.credentials = await ports.credentials.read(context.instance);
      return context.credentials === undefined ? missing : done;
    },
    async act(context) {
      const fresh = { databasePassword: newPassword(), adminPassword: newPassword(), masterPassword: newPassword() };
      context.credentials = await ports.credentials.create(context.instance, fresh, fencedOf(context));
      return done;
    },
    async undo(context) {
      await ports.credentials.remove(context.instance, fencedOf(context));
    },
  };
}
