import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { ClusterJobs } from '#shared/domain/instance/ports.ts';
import type { Step } from '#shared/domain/operation/step.ts';
import { cutSessions } from '../database/cut-sessions.ts';
import { setDatabaseAside } from '../database/keep-database.ts';
import { freeHost } from '../hosts/hosts.ts';
import type { RuntimePorts } from './apply-part.ts';
import { drainCron } from './drain-cron.ts';
import { removeJobs, removePart } from './remove-part.ts';
import { waitUntilGone } from './wait-until-gone.ts';

export type TakeDownPorts = RuntimePorts & { jobs: ClusterJobs };

/**
 * Takes an instance out of use, wherever it stands: also one that was never wholly made. What holds data stays: the
 * volume, the database under another name, the credentials.
 */
export function takeDown(ports: TakeDownPorts): readonly Step<InstanceContext>[] {
  return [
    removePart('ingress', ports),
    freeHost(ports),
    removeJobs(ports),
    drainCron(ports),
    removePart('deployment', ports),
    waitUntilGone(ports),
    removePart('service', ports),
    removePart('network-policy', ports),
    removePart('configuration', ports),
    cutSessions(ports),
    setDatabaseAside(ports),
  ];
}
