import type { Database } from '#shared/adapters/postgres/database.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { Failure } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import type { TenantDatabases } from '#shared/domain/instance/ports.ts';
import type { OperationDefinition } from '#shared/domain/operation/step.ts';
import type { RunnableOperation } from '../operation/run.ts';
import { beginMaking, cancelMaking, failMaking, succeedMaking } from './ends.ts';
import type { Making } from './making.ts';

export type MakingParts = {
  definition: OperationDefinition<InstanceContext>;
  making: Making;
  /** Without `wasUsed` what it makes may be undone whatever became of it: it is a copy, and what it is a copy of is kept. */
  databases: Pick<TenantDatabases, 'takeOver'> & Partial<Pick<TenantDatabases, 'wasUsed'>>;
  eventSource: string;
};

/** A database that somebody has worked in is not undone: it goes by a termination, with its backup and its waiting time. */
async function objectToCancel(context: InstanceContext, { databases }: MakingParts): Promise<Failure | undefined> {
  const { instance } = context;
  const server = instance.databaseServer;
  if (server === null || (await databases.wasUsed?.(server, instance.id)) !== true) return undefined;
  const text = `Somebody has logged in to instance ${instance.id}. Retry the operation to finish it, or terminate the instance.`;
  return new Failure('not-allowed', text);
}

/** An operation that makes an instance, as the runner carries it out. */
export function makingOperation(database: Database, parts: MakingParts): RunnableOperation<InstanceContext> {
  const { definition, making, databases, eventSource: source } = parts;
  const firstStep = definition.steps[0]?.name ?? '';
  return {
    definition,
    async load(operation) {
      const { instance, publicUrl } = await readInstance(database, operation.instanceId);
      const loadedAtMs = performance.now();
      const context: InstanceContext = { operation, instance, publicUrl, credentials: undefined, loadedAtMs };
      if (!operation.cancelRequested) await beginMaking(database, context, source);
      return context;
    },
    async takeOver(context) {
      const server = context.instance.databaseServer;
      if (server !== null) await databases.takeOver(server, fencedOf(context));
    },
    succeed: (context) => succeedMaking(database, context, { making, source }),
    fail: (context, end) => failMaking(database, context, { ...end, firstStep, making, source }),
    objectToCancel: (context) => objectToCancel(context, parts),
    cancel: (context, { isOvertaken }) => cancelMaking(database, context, { making, source, isOvertaken }),
    ...(making.release && { release: making.release }),
  };
}
