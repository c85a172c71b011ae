import { asFailure, Failure, failureCodes } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext, serverOf, wantedRuntime } from '#shared/domain/instance/context.ts';
import { isWantedRunning } from '#shared/domain/instance/instance.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { releaseLoad } from '../load/finish-load.ts';
import { completeSwap } from './exchange.ts';
import { outgoingOf, type RestorePorts } from './restore-parts.ts';
import { removeSwapJobs, swapJobsOf } from './swap-job.ts';

/** The Jobs that exchanged the folders, with their Secrets. */
export function releaseSwapStep(ports: RestorePorts): Step<InstanceContext> {
  return {
    name: 'release-swap',
    touchesServer: false,
    async look(context) {
      for (const name of await swapJobsOf(context, ports)) {
        if ((await ports.workers.look(name)).state !== 'absent') return missing;
      }
      return done;
    },
    async act(context) {
      await removeSwapJobs(context, ports);
      return done;
    },
  };
}

/** Writes down that the restore is over, and so until when it can be undone. */
export function keepOldSide({ restores }: Pick<RestorePorts, 'restores'>): Step<InstanceContext> {
  return {
    name: 'keep-old-side',
    touchesServer: false,
    look: async ({ operation }) => ((await restores.read(operation.id))?.state === 'succeeded' ? done : missing),
    async act({ operation }) {
      await restores.succeed(operation);
      return done;
    },
  };
}

/**
 * One side is whole and live when a restore has ended, however it did. Before the database was exchanged that is the old
 * one: what was loaded goes, and the tenant may log in. After it the new one: the operation does not end before the files
 * are exchanged, too, whatever is in its way, and whoever wants something else of the instance waits for it. If it ended
 * between the two, a repair or a start would run Odoo on the database of one side with the files of the other.
 */
export async function releaseRestore(context: InstanceContext, ports: RestorePorts): Promise<void> {
  const restore = await ports.restores.read(context.operation.id);
  if (restore === undefined || restore.state === 'failed') return;
  const wasExchanged = await isExchanged(context, ports);
  if (wasExchanged) {
    await ports.restores.switched(context.operation);
    if (!(await completeSwap(context, ports))) {
      throw new Failure('conflict', 'The files of the instance are being exchanged: the restore ends when they are.');
    }
    await removeSwapJobs(context, ports);
  } else {
    await removeSwapJobs(context, ports);
    await releaseLoad(context, ports);
  }
  await open(context, ports, { mayBeDown: wasExchanged });
}

/**
 * A cancel undoes a restore only while the old side is live. After that it is brought to its end, so that one side is whole,
 * and whoever cancelled it is told the way back.
 */
export async function objectToCancelRestore(
  context: InstanceContext,
  ports: RestorePorts,
): Promise<Failure | undefined> {
  const restore = await ports.restores.read(context.operation.id);
  if (restore === undefined || restore.state === 'failed' || !(await isExchanged(context, ports))) return undefined;
  await releaseRestore(context, ports);
  const text =
    'It is too late for a cancel: the sides have changed places. Undo the restore, which is a request of its own.';
  return new Failure('not-allowed', text);
}

/** Looked for, not read: whoever exchanged it may have been killed before he wrote it down. */
async function isExchanged(context: InstanceContext, ports: RestorePorts): Promise<boolean> {
  const restore = await ports.restores.read(context.operation.id);
  if (restore?.state === 'switched' || restore?.state === 'succeeded') return true;
  return await ports.restoreSides.isOut(serverOf(context), outgoingOf(context));
}

/**
 * What was taken away for the exchange: the login, and the pods of one that is to run, which may be down after it for a new
 * address as well. Does nothing where it was not.
 */
async function open(
  context: InstanceContext,
  ports: RestorePorts,
  { mayBeDown }: { mayBeDown: boolean },
): Promise<void> {
  const { instance } = context;
  try {
    const isOpen = await ports.restoreSides.mayLogIn(serverOf(context), instance.id);
    if (isOpen && !mayBeDown) return;
    if (isWantedRunning(instance)) {
      const wanted = await wantedRuntime(context, ports.credentials, { needsCredentials: true });
      await ports.cluster.apply(instance, 'deployment', wanted);
    }
    // Last: what is looked at to see whether this was done.
    if (!isOpen) await ports.restoreSides.letIn(serverOf(context), fencedOf(context));
  } catch (error) {
    const { code } = asFailure(error);
    if (code === 'internal' || failureCodes[code] !== 'transient') throw error;
    throw new Failure('conflict', `The instance cannot be opened again yet: ${asFailure(error).message}`, {
      cause: error,
    });
  }
}
