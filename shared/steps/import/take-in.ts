import type { RestoredState } from '#shared/domain/backup/restore-ports.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { type LoadPorts, loadSession } from '../load/load-beside.ts';

type Ports = Pick<LoadPorts, 'loads' | 'wrapper'> & { restoredState: Pick<RestoredState, 'putRight'> };

/**
 * Tells the loaded database its new address. Its identity, users and passwords stay what they were: it is the same Odoo in
 * another place. As the load's role, before anybody else can connect; acts always: it is repeatable.
 */
export function takeIn(ports: Ports): Step<InstanceContext> {
  return {
    name: 'take-in',
    look: async () => missing,
    async act(context) {
      const { server, ...session } = await loadSession(context, ports);
      const wanted = { session, baseUrl: context.publicUrl, uuid: undefined };
      await ports.restoredState.putRight(server, fencedOf(context), wanted);
      return done;
    },
  };
}
