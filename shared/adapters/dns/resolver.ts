import { Resolver } from 'node:dns/promises';
import type { DomainResolver } from '#shared/domain/custom-domain/custom-domain.ts';
import { Failure } from '#shared/domain/failure.ts';

/** There is no such name, or it has no such record: an answer, and no failure. */
const nothing: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Asks DNS anew each time. `servers` (address or address:port) instead of the machine's own: a resolver that has kept "there is
 * no such record" would say so for a while after it was made.
 */
export function openDomainResolver(
  options: { servers?: readonly string[]; timeoutMs?: number; tries?: number } = {},
): DomainResolver {
  const { servers, timeoutMs = 2_000, tries = 2 } = options;
  const resolver = new Resolver({ timeout: timeoutMs, tries });
  if (servers !== undefined) resolver.setServers(servers);
  return {
    async texts(name) {
      try {
        const records = await resolver.resolveTxt(name);
        return records.map((pieces) => pieces.join(''));
      } catch (cause) {
        const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
        if (nothing.has(code)) return [];
        throw new Failure('unavailable', `DNS could not be asked for ${name} (${code}). Try again.`, { cause });
      }
    },
  };
}
