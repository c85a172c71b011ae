import type { FunctionService } from '#shared/sandbox/manifests.ts';

/** What a connection bouncer is expected to accept (`max_client_conn`) where it is not ours. */
export const bouncerClientLimit = 1000;

/**
 * Connections at the most: every function at its max-scale with a full pool. `defaultPoolMax` is the pool of a Service that does not
 * say.
 */
export function poolBudget(
  services: readonly FunctionService[],
  defaultPoolMax: number,
): { name: string; connections: number }[] {
  return services.map(({ name, maxScale, env }) => {
    const own = env['DATABASE_POOL_MAX'];
    return { name, connections: maxScale * (own === undefined ? defaultPoolMax : Number(own)) };
  });
}

export function sumOf(budget: readonly { connections: number }[]): number {
  return budget.reduce((total, { connections }) => total + connections, 0);
}
