import { credentialsOf, fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { loadedName, loadSession, readLoad } from '../load/load-beside.ts';
import type { RestorePorts } from './restore-parts.ts';

type Ports = Pick<RestorePorts, 'loads' | 'loadDatabases' | 'restoredState' | 'credentials' | 'wrapper'>;

/**
 * Puts right what the loaded database says of itself and is not so any more: its address, the identity that the instance
 * has now, modules that were about to be changed. As the load's role, before anybody else can connect.
 */
export function putRight(ports: Ports): Step<InstanceContext> {
  return {
    name: 'put-right',
    // Acts until it is handed over: what was written cannot be looked at without the load's own session.
    async look(context) {
      const name = loadedName(context, await readLoad(context, ports));
      const { instance } = context;
      return (await ports.loadDatabases.isHandedOver(serverOf(context), instance.id, name)) ? done : missing;
    },
    async act(context) {
      const { server, ...session } = await loadSession(context, ports);
      const { databasePassword: password } = await credentialsOf(context, ports.credentials);
      await ports.restoredState.putRight(server, fencedOf(context), {
        session,
        baseUrl: context.publicUrl,
        uuid: await ports.restoredState.readUuid(server, context.instance.id, { password }),
      });
      return done;
    },
  };
}
