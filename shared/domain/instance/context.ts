import { Failure } from '../failure.ts';
import type { StepContext } from '../operation/step.ts';
import type { DatabaseServer, Instance } from './instance.ts';
import type { Credentials, CredentialsStore, Fenced, WantedRuntime } from './ports.ts';

/** What the steps of an operation on one instance work on. The runner loads it anew for every lease. */
export type InstanceContext = StepContext & {
  /** Replaced by the steps that change the row: the placement, and the one that takes a host. */
  instance: Instance;
  /** As the customer sees it, without a path: `https://name.example.com`. */
  publicUrl: string;
  /** Read once per lease, then kept. */
  credentials: Credentials | undefined;
  /** When it was read, by this process' monotonic clock. */
  readonly loadedAtMs: number;
};

/** How long the operation has been at work, since its first turn. */
export function ageMsOf({ operation, loadedAtMs }: InstanceContext): number {
  return operation.ageMs + performance.now() - loadedAtMs;
}

/** Who writes: the instance and the fence of the operation's lease. */
export function fencedOf(context: InstanceContext): Fenced {
  return { instanceId: context.instance.id, fence: context.operation.fence };
}

/** The server the instance is placed on; steps after the placement rely on it. */
export function serverOf(context: InstanceContext): DatabaseServer {
  const server = context.instance.databaseServer;
  if (server === null) {
    throw new Failure('internal', `Instance ${context.instance.id} is on no database server yet.`);
  }
  return server;
}

/** The instance's credentials; steps after their creation rely on them. */
export async function credentialsOf(context: InstanceContext, store: CredentialsStore): Promise<Credentials> {
  context.credentials ??= await store.read(context.instance);
  if (context.credentials === undefined) {
    throw new Failure(
      'not-found',
      `The credentials Secret of instance ${context.instance.id} is gone. Restore it, or cancel the operation.`,
    );
  }
  return context.credentials;
}

/** What the instance's objects in the cluster are built from. Only its configuration and its Deployments need passwords. */
export async function wantedRuntime(
  context: InstanceContext,
  store: CredentialsStore,
  { needsCredentials }: { needsCredentials: boolean },
): Promise<WantedRuntime> {
  return {
    operationId: context.operation.id,
    fence: context.operation.fence,
    databaseServer: serverOf(context),
    credentials: needsCredentials ? await credentialsOf(context, store) : undefined,
  };
}
