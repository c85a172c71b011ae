import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Hosts } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';

/** Gives the instance's host to whoever wants it next. Only after its Ingress is gone: two of one host would share requests. */
export function freeHost({ hosts }: { hosts: Hosts }): Step<InstanceContext> {
  return {
    name: 'free-host',
    touchesServer: false,
    look: async ({ instance }) => (instance.host === '' ? done : missing),
    async act(context) {
      await hosts.free(context.operation, context.instance.id);
      context.instance = { ...context.instance, host: '' };
      return done;
    },
  };
}

/** Takes the host back, or, when somebody has it by now, `<name>-<short id>` in its place. */
export function takeHost({ hosts }: { hosts: Hosts }): Step<InstanceContext> {
  return {
    name: 'take-host',
    touchesServer: false,
    look: async ({ instance }) => (instance.host === '' ? missing : done),
    async act(context) {
      const { host, publicUrl } = await hosts.take(context.operation, context.instance.id);
      context.instance = { ...context.instance, host };
      context.publicUrl = publicUrl;
      return done;
    },
  };
}
