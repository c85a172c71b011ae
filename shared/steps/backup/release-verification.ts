import { bootJobName, verificationDatabaseName } from '#shared/domain/backup/job-names.ts';
import { asFailure, failureCodes } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { runOf, type VerifyPorts } from './restore-to-verify.ts';

type Ports = Pick<VerifyPorts, 'verifications' | 'databases' | 'servers' | 'workers'>;

/** What one verification has made. */
type Made = { jobs: string[]; server: DatabaseServer | undefined; databases: string[] };

/** Takes away what was made for the verification: its Jobs with their Secrets, the database and its role. */
export function releaseVerificationStep(ports: Ports): Step<InstanceContext> {
  return {
    name: 'release',
    touchesServer: false,
    async look(context) {
      const { jobs, server, databases } = await madeBy(context, ports);
      for (const name of jobs) if ((await ports.workers.look(name)).state !== 'absent') return missing;
      if (server === undefined) return done;
      for (const name of databases) if (await ports.databases.isThere(server, name)) return missing;
      return done;
    },
    async act(context) {
      await takeAway(context, await madeBy(context, ports), ports);
      return done;
    },
  };
}

/**
 * The same for one that ends otherwise than well. A server that is away keeps nobody waiting: the role's time runs out by
 * itself, and the tick takes the database away.
 */
export async function releaseVerification(context: InstanceContext, ports: Ports): Promise<void> {
  const made = await madeBy(context, ports);
  for (const name of made.jobs) await ports.workers.remove(name);
  try {
    await takeAway(context, made, ports);
  } catch (error) {
    const { code } = asFailure(error);
    if (code === 'internal' || failureCodes[code] !== 'transient') throw error;
  }
}

async function takeAway(context: InstanceContext, { jobs, server, databases }: Made, ports: Ports): Promise<void> {
  for (const name of jobs) await ports.workers.remove(name);
  if (server === undefined) return;
  for (const name of databases) await ports.databases.drop(server, fencedOf(context), name);
}

/** Of all rounds; nothing when it was never begun. */
async function madeBy(context: InstanceContext, ports: Ports): Promise<Made> {
  const { operation } = context;
  const verification = await ports.verifications.read(operation.id);
  if (verification === undefined) return { jobs: [], server: undefined, databases: [] };
  const rounds = Array.from({ length: verification.round }, (_, index) => index + 1);
  return {
    jobs: rounds.flatMap((round) => {
      const place = { instanceId: context.instance.id, operationId: operation.id, round };
      return [runOf(context, { ...verification, round }).name, bootJobName(place)];
    }),
    server: await ports.servers.find(verification.serverId),
    databases: rounds.map((round) => verificationDatabaseName({ operationId: operation.id, round })),
  };
}
