import { asFailure } from '#shared/domain/failure.ts';
import {
  ageMsOf,
  credentialsOf,
  type InstanceContext,
  serverOf,
  wantedRuntime,
} from '#shared/domain/instance/context.ts';
import type { CredentialsStore, TenantCluster, TenantDatabases } from '#shared/domain/instance/ports.ts';
import { done, type Look, missing, type Step, waiting } from '#shared/domain/operation/step.ts';

/**
 * How long a stop waits for scheduled actions that are at work, from the operation's beginning. Odoo's own limit for one is
 * longer (`limit_time_real_cron`); one that is cut off is rolled back by PostgreSQL and runs again at its next time.
 */
const longestDrainMs = 60_000;
const longestSilenceMs = 10_000;
const checkMs = 1_000;

type Ports = { cluster: TenantCluster; databases: TenantDatabases; credentials: CredentialsStore };

/**
 * Lets scheduled actions end before the web pods go: takes the cron pod down where the plan has one, then waits until
 * nobody holds a row of `ir_cron`, at most a minute. Where one process does both, it only waits: a new one may begin
 * between the look and the stop.
 */
export function drainCron(ports: Ports): Step<InstanceContext> {
  return {
    name: 'drain-cron',
    // It asks the database as the tenant, and goes on without an answer.
    touchesServer: false,
    async look(context) {
      if ((await ports.cluster.countPods(context.instance)) === 0) return done;
      context.credentials ??= await ports.credentials.read(context.instance);
      // Somebody has deleted the Secret: nobody can ask the database as the tenant, and the stop must not fail for it.
      if (context.credentials === undefined) return done;
      const wanted = await wantedRuntime(context, ports.credentials, { needsCredentials: true });
      if ((await ports.cluster.lookScale(context.instance, wanted, 'without-cron')) === 'missing') return missing;
      return await busyCrons(context, ports);
    },
    async act(context) {
      const wanted = await wantedRuntime(context, ports.credentials, { needsCredentials: true });
      await ports.cluster.applyScale(context.instance, wanted, 'without-cron');
      return await busyCrons(context, ports);
    },
  };
}

async function busyCrons(context: InstanceContext, ports: Ports): Promise<Look> {
  if (ageMsOf(context) > longestDrainMs) return done;
  const { databasePassword: password } = await credentialsOf(context, ports.credentials);
  const busy = await ports.databases
    .busyCrons(serverOf(context), context.instance.id, { password })
    // What cannot be asked, such as a database without a free connection, is waited for too, but not as long: with a server
    // that is away nothing is at work.
    .catch((error: unknown) => asFailure(error).code);
  if (busy === 0 || (typeof busy === 'string' && ageMsOf(context) > longestSilenceMs)) return done;
  const what = typeof busy === 'number' ? `${busy} scheduled actions` : `the database's answer (${busy})`;
  return waiting(`${what} to end`, { checkAfterMs: checkMs });
}
