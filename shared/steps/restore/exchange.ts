import { Failure } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext, serverOf, wantedRuntime } from '#shared/domain/instance/context.ts';
import { isWantedRunning } from '#shared/domain/instance/instance.ts';
import { done, type Look, missing, type Step, waiting } from '#shared/domain/operation/step.ts';
import { scaleDown } from '#shared/steps/runtime/bring-down.ts';
import { type RestorePorts, readRestore, sidesOf } from './restore-parts.ts';
import { lookAtSwap, sayGo, startSwap } from './swap-job.ts';

/** Between the two halves the customer waits: what ends in a moment is waited for here, and not by another request. */
const pollMs = 25;
const patienceMs = 8_000;
export const checkMs = 1_000;

/** The Job that exchanges the folders is up before the database is: no pod has to start while the customer waits. */
export function prepareSwap(ports: RestorePorts): Step<InstanceContext> {
  const look = async (context: InstanceContext): Promise<Look> => {
    const state = await lookAtSwap(context, ports);
    if (state === 'absent') return missing;
    return state === 'starting' ? waiting('the Job that exchanges the files', { checkAfterMs: checkMs }) : done;
  };
  return {
    name: 'prepare-swap',
    look,
    async act(context) {
      await startSwap(context, ports);
      return waiting('the Job that exchanges the files', { checkAfterMs: checkMs });
    },
  };
}

/**
 * Exchanges the database. The login goes first, then the sessions, then the pods: an Odoo that still ran would go on with
 * what it remembers of the other database, and write its files to the wrong side. The tenant may not log in before his
 * files are exchanged, too.
 */
export function exchangeDatabase(ports: RestorePorts): Step<InstanceContext> {
  return {
    name: 'exchange-database',
    async look(context) {
      const { state } = await readRestore(context, ports);
      return state === 'running' ? missing : done;
    },
    async act(context) {
      const { instance, operation } = context;
      const server = serverOf(context);
      const sides = await sidesOf(context, ports);
      if ((await ports.restoreSides.look(server, instance.id, sides)) === 'before') {
        await ports.beginMaintenance(context);
        const [isDown] = await Promise.all([
          takePodsDown(context, ports),
          ports.restoreSides.lockOut(server, fencedOf(context)),
        ]);
        if (!isDown) return waiting('pods to end', { checkAfterMs: checkMs });
        await ports.restoreSides.exchange(server, fencedOf(context), sides);
      }
      await ports.restores.switched(operation);
      return done;
    },
  };
}

/**
 * False when pods are left after this request. An instance that is not to run may have pods, too: whoever asks for its stop
 * changes what is wanted at once, and waits behind the restore to carry it out.
 */
export async function takePodsDown(context: InstanceContext, ports: RestorePorts): Promise<boolean> {
  const { instance } = context;
  await scaleDown(ports).act({ ...context, instance: { ...instance, desiredState: 'stopped' } });
  return await becomes(async () => (await ports.cluster.countPods(instance)) === 0, ports);
}

async function bringPodsUp(context: InstanceContext, ports: RestorePorts): Promise<void> {
  if (!isWantedRunning(context.instance)) return;
  const wanted = await wantedRuntime(context, ports.credentials, { needsCredentials: true });
  await ports.cluster.apply(context.instance, 'deployment', wanted);
}

/** False when it takes longer than this request. */
export async function becomes(isSo: () => Promise<boolean>, { pause }: Pick<RestorePorts, 'pause'>): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    if (await isSo()) return true;
    if (performance.now() > deadline) return false;
    await pause(pollMs);
  }
}

/**
 * Has the Job exchange the folders, then lets the tenant in again. His pods are on their way meanwhile: an Odoo that is up
 * sooner cannot log in, and is started again.
 */
export function exchangeFiles(ports: RestorePorts): Step<InstanceContext> {
  return {
    name: 'exchange-files',
    look: async (context) => ((await isInPlace(context, ports)) ? done : missing),
    async act(context) {
      const [isSwapped] = await Promise.all([completeSwap(context, ports), bringPodsUp(context, ports)]);
      if (!isSwapped) return waiting('the files to be exchanged', { checkAfterMs: checkMs });
      await ports.restoreSides.letIn(serverOf(context), fencedOf(context));
      return done;
    },
  };
}

async function isInPlace(context: InstanceContext, ports: RestorePorts): Promise<boolean> {
  const { isWhole } = await readRestore(context, ports);
  return isWhole && (await ports.restoreSides.mayLogIn(serverOf(context), context.instance.id));
}

/**
 * Brings the exchange to its end, once the database's is done; false while a Job is still to do it. Repeatable. Where the volume
 * is gone there are no folders to exchange: the files of both sides went with it, which the tick tells of.
 * @throws Failure `unavailable` when the Job did not do it: the next call starts another one.
 */
export async function completeSwap(context: InstanceContext, ports: RestorePorts): Promise<boolean> {
  const { state } = await readRestore(context, ports);
  if (state === 'running' || state === 'failed') throw new Failure('internal', 'The database comes before the files.');
  const hasNoVolume = () => ports.cluster.isGone(context.instance, 'volume');
  if ((await lookAtSwap(context, ports)) === 'absent') await startSwap(context, ports);
  let isTold = false;
  const isSwapped = await becomes(async () => {
    const now = await lookAtSwap(context, ports);
    if (now === 'absent' && !(await hasNoVolume())) {
      throw new Failure('unavailable', 'The Job that exchanges the files has ended without having done it.');
    }
    if (now === 'ready' && !isTold) {
      await sayGo(context, ports);
      isTold = true;
    }
    return now === 'swapped' || now === 'absent';
  }, ports);
  const isOver = isSwapped || (await hasNoVolume());
  if (isOver) await ports.restores.swapped(context.operation);
  return isOver;
}
