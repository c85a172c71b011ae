import { loadDatabaseName, oldSideName } from '#shared/domain/backup/load-names.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupRecords } from '#shared/domain/backup/ports.ts';
import type {
  Restore,
  RestoredState,
  RestoreRecords,
  RestoreSides,
  RestoreSource,
  Sides,
} from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { RuntimePorts } from '#shared/steps/runtime/apply-part.ts';
import type { LoadPorts } from '../load/load-beside.ts';

/** What a restore is made with. */
export type RestorePorts = Omit<LoadPorts, 'records' | 'cluster'> &
  RuntimePorts & {
    records: Pick<BackupRecords, 'progress' | 'read'>;
    restores: RestoreRecords;
    restoreSides: RestoreSides;
    restoredState: RestoredState;
    signer: Pick<Signer, 'isSigned'>;
    /** Tells whoever looks at the instance that it cannot be reached for a moment. Repeatable. */
    beginMaintenance(context: InstanceContext): Promise<void>;
    /** Resolves after so many milliseconds. */
    pause(milliseconds: number): Promise<void>;
  };

/** What a request wants to be live; parsed with the event. */
export function sourceOf({ operation }: InstanceContext): RestoreSource {
  const request = operation.request as { backup?: string; undoes?: string };
  if (request.undoes !== undefined) return { undoes: request.undoes };
  if (request.backup !== undefined) return { backup: request.backup };
  throw new Failure('internal', 'The request names neither a backup nor a restore.');
}

/** @throws Failure `internal` when it was not begun. */
export async function readRestore(
  { operation }: InstanceContext,
  ports: Pick<RestorePorts, 'restores'>,
): Promise<Restore> {
  const restore = await ports.restores.read(operation.id);
  if (restore === undefined) throw new Failure('internal', 'There is no record of the restore.');
  return restore;
}

/** The side that this restore takes out: of its database, and of its folder. */
export function outgoingOf({ operation, instance }: InstanceContext): string {
  return oldSideName({ instanceId: instance.id, operationId: operation.id });
}

/** What changes places: the names of databases and folders. */
export async function sidesOf(context: InstanceContext, ports: Pick<RestorePorts, 'loads'>): Promise<Sides> {
  const { operation, instance } = context;
  const source = sourceOf(context);
  const outgoing = outgoingOf(context);
  if ('undoes' in source) {
    return { incoming: oldSideName({ instanceId: instance.id, operationId: source.undoes }), outgoing };
  }
  const load = await ports.loads.read(operation.id);
  if (load === undefined) throw new Failure('internal', 'There is no record of what was loaded.');
  const { round } = load;
  return { incoming: loadDatabaseName({ instanceId: instance.id, operationId: operation.id, round }), outgoing };
}
