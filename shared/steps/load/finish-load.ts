import { asFailure, failureCodes } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { type LoadPorts, loadedName, readLoad, runOf } from './load-beside.ts';

type Ports = Pick<LoadPorts, 'loads' | 'loadDatabases' | 'workers'>;

/** Gives what was loaded to the tenant's role, which must be there. Nobody can connect to it yet but the admin. */
export function handOverLoad(ports: Ports): Step<InstanceContext> {
  return {
    name: 'hand-over',
    async look(context) {
      const name = loadedName(context, await readLoad(context, ports));
      const { instance } = context;
      return (await ports.loadDatabases.isHandedOver(serverOf(context), instance.id, name)) ? done : missing;
    },
    async act(context) {
      const name = loadedName(context, await readLoad(context, ports));
      await ports.loadDatabases.handOver(serverOf(context), fencedOf(context), name);
      return done;
    },
  };
}

/** What was loaded becomes the database of an instance that has none. Acts always: it is repeatable. */
export function takeLoadedName(ports: Ports): Step<InstanceContext> {
  return {
    name: 'take-name',
    look: async () => missing,
    async act(context) {
      const name = loadedName(context, await readLoad(context, ports));
      await ports.loadDatabases.takeName(serverOf(context), fencedOf(context), name);
      return done;
    },
  };
}

/** Takes away what the load made and nobody needs now: its Jobs with their Secrets, and databases of rounds that were lost. */
export function releaseLoadStep(ports: Ports): Step<InstanceContext> {
  return {
    name: 'release-load',
    async look(context) {
      const { jobs, databases } = await madeBy(context, ports);
      for (const name of jobs) if ((await ports.workers.look(name)).state !== 'absent') return missing;
      for (const name of databases) {
        if (await ports.loadDatabases.isThere(serverOf(context), name)) return missing;
      }
      return done;
    },
    async act(context) {
      await takeAway(context, ports);
      return done;
    },
  };
}

/**
 * The same for an operation that ends otherwise than well. A server that is away keeps nobody waiting: the role's time
 * runs out by itself, and the tick takes the database away. The folder is removed by the next load of the instance.
 */
export async function releaseLoad(context: InstanceContext, ports: Ports): Promise<void> {
  try {
    await takeAway(context, ports);
  } catch (error) {
    const { code } = asFailure(error);
    if (code === 'internal' || failureCodes[code] !== 'transient') throw error;
  }
}

async function takeAway(context: InstanceContext, ports: Ports): Promise<void> {
  const { jobs, databases } = await madeBy(context, ports);
  for (const name of jobs) await ports.workers.remove(name);
  for (const name of databases) await ports.loadDatabases.drop(serverOf(context), fencedOf(context), name);
}

/** Of all rounds; nothing when it was never begun. */
async function madeBy(context: InstanceContext, ports: Ports): Promise<{ jobs: string[]; databases: string[] }> {
  const load = await ports.loads.read(context.operation.id);
  const rounds = Array.from({ length: load?.round ?? 0 }, (_, index) => ({ round: index + 1 }));
  return {
    jobs: rounds.map((round) => runOf(context, round).name),
    databases: rounds.map((round) => loadedName(context, round)),
  };
}
