import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { isWantedRunning } from '#shared/domain/instance/instance.ts';
import type { Step } from '#shared/domain/operation/step.ts';
import { cutSessions } from '../database/cut-sessions.ts';
import { onlyWhile } from '../only-while.ts';
import type { RuntimePorts } from './apply-part.ts';
import { scaleDown } from './bring-down.ts';
import { waitUntilGone } from './wait-until-gone.ts';
import { waitUntilReady } from './wait-until-ready.ts';

/** After all parts are as wanted: one that is to run answers, and of one that is not nothing is left running. */
export function settle(ports: RuntimePorts): readonly Step<InstanceContext>[] {
  return [
    ...onlyWhile(isWantedRunning, [waitUntilReady(ports)]),
    ...onlyWhile(
      (instance) => !isWantedRunning(instance),
      [
        // Again: the row may have wanted it to run when its parts were applied.
        scaleDown(ports),
        waitUntilGone(ports),
        cutSessions(ports),
      ],
    ),
  ];
}
