import { promises as dns, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { callbackify } from 'node:util';
import { buildConnector } from 'undici';
import { Failure } from '#shared/domain/failure.ts';
import type { TargetPolicy } from '#shared/domain/webhook/target.ts';
import { isPublicAddress } from './public-address.ts';

/** All addresses of a host. @throws what node:dns throws */
export type ResolveHost = (hostname: string) => Promise<LookupAddress[]>;

/**
 * Asks the name servers themselves: neither /etc/hosts nor the search domains of a cluster say where a customer's events go,
 * and a slow name server holds no thread of the process.
 */
export function resolveByServers(): ResolveHost {
  const resolver = new dns.Resolver({ timeout: 2_000, tries: 2 });
  return async (hostname) => {
    const [four, six] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const addresses = [
      ...(four.status === 'fulfilled' ? four.value.map((address) => ({ address, family: 4 })) : []),
      ...(six.status === 'fulfilled' ? six.value.map((address) => ({ address, family: 6 })) : []),
    ];
    if (addresses.length > 0) return addresses;
    throw four.status === 'rejected' ? four.reason : new Failure('unavailable', 'its host has no address');
  };
}

/**
 * Connects to addresses of the internet only. They are looked at where they are used: the same answer of the name server that
 * is judged is connected to, so that a name cannot lead elsewhere a moment later; and the address that was reached is
 * judged once more. A host with one address that is not public is refused as a whole.
 */
export function connectTo(
  policy: TargetPolicy,
  options: {
    timeoutMs: number;
    resolve: ResolveHost;
    /** Which addresses are the internet's; other ones for tests, which have none. */
    allows?: (address: string) => boolean;
  },
): buildConnector.connector {
  const { timeoutMs, resolve, allows = isPublicAddress } = options;
  if (policy === 'any') return buildConnector({ timeout: timeoutMs, allowH2: false });
  const connect = buildConnector({ timeout: timeoutMs, allowH2: false, lookup: publicLookup(resolve, allows) });
  return (target, callback) => {
    // no name is looked up for these
    const literal = target.hostname.replace(/^\[|\]$/g, '');
    if (target.protocol !== 'https:') return callback(refused('it is not reached by https'), null);
    if (isIP(literal) !== 0 && !allows(literal)) return callback(refused(notPublic), null);
    connect(target, (...answer) => {
      const [error, socket] = answer;
      if (error !== null) return callback(error, null);
      if (allows(socket.remoteAddress ?? '')) return callback(null, socket);
      socket.destroy();
      callback(refused(notPublic), null);
    });
  };
}

const notPublic = 'its host leads to an address that is not of the internet';

function refused(why: string): Failure {
  return new Failure('not-allowed', why);
}

function publicLookup(resolve: ResolveHost, allows: (address: string) => boolean): LookupFunction {
  const judged = async (hostname: string): Promise<[LookupAddress, ...LookupAddress[]]> => {
    const [first, ...others] = await resolve(hostname);
    if (first === undefined) throw new Failure('unavailable', 'its host has no address');
    if (![first, ...others].every(({ address }) => allows(address))) throw refused(notPublic);
    return [first, ...others];
  };
  const answer = callbackify(judged);
  return (hostname, options, callback) => {
    answer(hostname, (error, found) => {
      if (error !== null) return callback(error, '');
      if (options.all === true) return callback(null, found);
      callback(null, found[0].address, found[0].family);
    });
  };
}
