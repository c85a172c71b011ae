import { asFailure, failureCodes } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { done, type Look, type Step, waiting } from '#shared/domain/operation/step.ts';
import { setBaseUrl } from '../database/keep-database.ts';
import { checkMs, takePodsDown } from './exchange.ts';
import { type RestorePorts, sourceOf } from './restore-parts.ts';

/**
 * A side that went out keeps the address that the instance had then; a termination that was undone since may have given it
 * another. An Odoo that is up would keep the old one in its memory: its pods end first, and the next step brings them up.
 * A backup's is put right before it is live. A side whose parameters cannot be read or written goes back as it is.
 */
export function addressOldSide(ports: RestorePorts): Step<InstanceContext> {
  const address = setBaseUrl(ports);
  return {
    name: 'address-old-side',
    look: async (context) => ('undoes' in sourceOf(context) ? await asFarAsItGoes(() => address.look(context)) : done),
    async act(context) {
      if (!(await takePodsDown(context, ports))) return waiting('pods to end', { checkAfterMs: checkMs });
      return await asFarAsItGoes(() => address.act(context));
    },
  };
}

/** What is wrong with the side may be why it went out. */
async function asFarAsItGoes(work: () => Promise<Look | undefined>): Promise<Look> {
  try {
    return (await work()) ?? done;
  } catch (error) {
    const { code } = asFailure(error);
    if (failureCodes[code] !== 'permanent') throw error;
    return done;
  }
}
