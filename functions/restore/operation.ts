import { restoreAccepted, restoreFailed, restoreSucceeded } from '#events/instance/restore.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { endUnfinishedLoad } from '#shared/adapters/postgres/load-records.ts';
import { endUnfinishedRestore } from '#shared/adapters/postgres/restore-records.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { Step } from '#shared/domain/operation/step.ts';
import { done } from '#shared/domain/operation/step.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { handOverLoad, releaseLoadStep } from '#shared/steps/load/finish-load.ts';
import { loadBeside } from '#shared/steps/load/load-beside.ts';
import { addressOldSide } from '#shared/steps/restore/address-old-side.ts';
import { beginRestore, sourceOfRequest } from '#shared/steps/restore/begin-restore.ts';
import { exchangeDatabase, exchangeFiles, prepareSwap } from '#shared/steps/restore/exchange.ts';
import { putRight } from '#shared/steps/restore/put-right.ts';
import {
  keepOldSide,
  objectToCancelRestore,
  releaseRestore,
  releaseSwapStep,
} from '#shared/steps/restore/release-restore.ts';
import { type RestorePorts, sourceOf } from '#shared/steps/restore/restore-parts.ts';
import { applyPart } from '#shared/steps/runtime/apply-part.ts';
import { settle } from '#shared/steps/runtime/settle.ts';

/** The same steps, of a restore from a backup; an undo has nothing to load. */
function ofBackups(steps: readonly Step<InstanceContext>[]): readonly Step<InstanceContext>[] {
  return steps.map((step) => ({
    ...step,
    look: async (context) => ('backup' in sourceOf(context) ? await step.look(context) : done),
  }));
}

function isThere(instance: Instance): boolean {
  return instance.desiredState !== 'terminated';
}

/**
 * Puts an instance back to what a backup holds, or undoes a restore. What is to be live is made beside what is; the customer
 * is cut off only while the two change places. What went out is kept for a while.
 */
export function restoreOperation(ports: RestorePorts): InstanceOperation {
  const { name, look, act } = applyPart('deployment', ports);
  return {
    definition: {
      ...definitionFacts.restore,
      steps: [
        beginRestore(ports),
        ...ofBackups([
          ...loadBeside(ports, { source: (context) => sourceOfRequest(context, ports) }),
          putRight(ports),
          handOverLoad(ports),
        ]),
        prepareSwap(ports),
        exchangeDatabase(ports),
        exchangeFiles(ports),
        addressOldSide(ports),
        // A cancel takes no instance's pods away for good: without what undoes it.
        { name, look, act },
        keepOldSide(ports),
        ...settle(ports),
        releaseSwapStep(ports),
        ...ofBackups([releaseLoadStep(ports)]),
      ],
    },
    events: { accepted: restoreAccepted, failed: restoreFailed },
    async succeeded(_transaction, { operation }, { data, envelope }) {
      const restore = await ports.restores.read(operation.id);
      if (restore?.keepUntil == null) throw new Failure('internal', 'A restore has succeeded that keeps nothing.');
      const backup = 'backup' in restore.source ? restore.source.backup : null;
      const said = { backup, undoableuntil: restore.keepUntil.toISOString() };
      return announce(restoreSucceeded, { ...data, ...said }, envelope);
    },
    // Its beginning is told when the customer is cut off, not hours before.
    moves: { finished: 'restore-finished', failed: 'restore-failed' },
    isStillWanted: isThere,
    objectToCancel: (context) => objectToCancelRestore(context, ports),
    release: (context) => releaseRestore(context, ports),
    async onOtherEnd(transaction, { operation }, why) {
      await endUnfinishedRestore(transaction, operation.id, why);
      await endLoadUnlessExchanged(transaction, operation.id, why);
    },
  };
}

/** What was loaded is live after the exchange: a retry goes on from there. */
async function endLoadUnlessExchanged(transaction: Queryable, operationId: string, why: Failure): Promise<void> {
  const { rowCount } = await transaction.query(`select 1 from restores where id = $1 and state <> 'failed'`, [
    operationId,
  ]);
  if (rowCount === 0) await endUnfinishedLoad(transaction, operationId, why);
}
