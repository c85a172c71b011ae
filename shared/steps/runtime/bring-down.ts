import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Step } from '#shared/domain/operation/step.ts';
import { cutSessions } from '../database/cut-sessions.ts';
import { applyPart, type RuntimePorts } from './apply-part.ts';
import { drainCron } from './drain-cron.ts';
import { waitUntilGone } from './wait-until-gone.ts';

/** Scheduled actions first, then the web pods, then what is still connected. The row must not want the instance to run. */
export function bringDown(ports: RuntimePorts): readonly Step<InstanceContext>[] {
  return [drainCron(ports), applyPart('deployment', ports), waitUntilGone(ports), cutSessions(ports)];
}
