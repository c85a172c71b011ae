import { cloneFailed, cloneSucceeded } from '#events/instance/clone.ts';
import { readCloneSource } from '#shared/adapters/postgres/clone-records.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { endUnfinishedLoad } from '#shared/adapters/postgres/load-records.ts';
import { refusePostgres } from '#shared/domain/backup/restorable.ts';
import type { RestoreSides } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { Placement } from '#shared/domain/instance/ports.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import { done, type OperationDefinition, type Step } from '#shared/domain/operation/step.ts';
import { makingOf } from '#shared/runtime/making/making.ts';
import { makingOperation } from '#shared/runtime/making/operation.ts';
import type { RunnableOperation } from '#shared/runtime/operation/run.ts';
import { createClosedRoles } from '#shared/steps/clone/closed-roles.ts';
import {
  type NeutralizePorts,
  neutralizeCopy,
  releaseNeutralizing,
  removeNeutralizing,
} from '#shared/steps/clone/neutralize.ts';
import { untilLive } from '#shared/steps/clone/until-live.ts';
import { createCredentials } from '#shared/steps/credentials/create-credentials.ts';
import { repairLogin } from '#shared/steps/database/repair-access.ts';
import { type BackupSourcePorts, backupLoadSource, readBackupManifest } from '#shared/steps/load/backup-source.ts';
import { handOverLoad, releaseLoad, releaseLoadStep, takeLoadedName } from '#shared/steps/load/finish-load.ts';
import { filestoreOf, type LoadPorts, loadBeside } from '#shared/steps/load/load-beside.ts';
import { placeInstance } from '#shared/steps/placement/place-instance.ts';
import { applyPart, type RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import { waitUntilReady } from '#shared/steps/runtime/wait-until-ready.ts';

/** What making a copy talks to. */
export type ClonePorts = Omit<LoadPorts, 'cluster' | 'records'> &
  Omit<RuntimePorts, 'hosts'> &
  NeutralizePorts & {
    placement: Placement;
    records: LoadPorts['records'] & BackupSourcePorts['records'];
    signer: BackupSourcePorts['signer'];
    restoreSides: Pick<RestoreSides, 'majorVersion'>;
    /** Can a copy be kept from the world and still reach this server? */
    hasKnownAddresses(server: DatabaseServer): boolean;
    /** The backup that an instance is a copy of. */
    sourceOf(instanceId: string): Promise<{ instanceId: string; backupId: string }>;
  };

/**
 * The order of a copy. Nobody but the load's own role can connect to the database before it is neutral, was looked at and has
 * an identity of its own; what keeps the copy from the world is there before anything of it; its pods come after all of it.
 * A step that fails leaves a database that no Odoo and no tenant can reach.
 */
export function cloneDefinition(ports: ClonePorts): OperationDefinition<InstanceContext> {
  return {
    ...definitionFacts.clone,
    steps: [
      placeInstance(ports),
      refuseOpenServer(ports),
      createCredentials(ports),
      applyPart('network-policy', ports),
      applyPart('volume', ports),
      createClosedRoles({ ...ports, release: (context) => release(context, ports) }),
      ...untilLive(ports, [
        ...loadBeside(ports, {
          source: (context) => sourceFor(context, ports),
          filestore: ownFilestore,
          validSeconds: definitionFacts.clone.deadlineMs / 1_000,
        }),
        ...neutralizeCopy(ports),
        handOverLoad(ports),
        takeLoadedName(ports),
      ]),
      // Only now may the tenant's role log in.
      repairLogin(ports),
      releaseLoadStep(ports),
      releaseNeutralizing(ports),
      applyPart('configuration', ports),
      applyPart('deployment', ports),
      applyPart('service', ports),
      applyPart('ingress', ports),
      waitUntilReady(ports),
    ],
  };
}

/** A NetworkPolicy names networks: for a server that is known by name only it would open the server's port to everybody. */
function refuseOpenServer({ hasKnownAddresses }: Pick<ClonePorts, 'hasKnownAddresses'>): Step<InstanceContext> {
  return {
    name: 'closed-network',
    touchesServer: false,
    async look(context) {
      const server = serverOf(context);
      if (hasKnownAddresses(server)) return done;
      const text = `Server ${server.id} is known by name: set DATABASE_CIDRS to its networks, or a copy could reach everybody.`;
      throw new Failure('misconfigured', text);
    },
    act: async () => done,
  };
}

/** The volume is nobody's yet: the files go where Odoo will look for them. */
function ownFilestore({ instance }: InstanceContext) {
  return { folder: filestoreOf(namesOf(instance.id).database), linkFrom: null };
}

async function sourceFor(context: InstanceContext, ports: ClonePorts) {
  const wanted = await ports.sourceOf(context.instance.id);
  const { content } = await readBackupManifest(wanted, ports);
  const refusal = refusePostgres(content.postgres.major, await ports.restoreSides.majorVersion(serverOf(context)));
  if (refusal !== undefined) throw refusal;
  return await backupLoadSource(wanted, ports);
}

/** A copy as the runner carries it out. */
export function cloneOperation(
  database: Database,
  { ports, eventSource }: { ports: Omit<ClonePorts, 'sourceOf'>; eventSource: string },
): RunnableOperation<InstanceContext> {
  const whole = { ...ports, sourceOf: (instanceId: string) => readCloneSource(database, instanceId) };
  return makingOperation(database, {
    definition: cloneDefinition(whole),
    making: {
      ...makingOf('clone', { succeeded: cloneSucceeded, failed: cloneFailed }),
      release: (context) => release(context, whole),
      onOtherEnd: (transaction, { operation }, why) => endUnfinishedLoad(transaction, operation.id, why),
    },
    databases: { takeOver: ports.databases.takeOver },
    eventSource,
  });
}

/** Takes the Jobs and what was loaded away. Nothing was begun on a server while there is none. */
async function release(context: InstanceContext, ports: ClonePorts): Promise<void> {
  if (context.instance.databaseServer === null) return;
  await removeNeutralizing(context, ports);
  await releaseLoad(context, ports);
}
