import { BlockList, isIP } from 'node:net';

/** The proxies before us, which add the address of whoever asked them to the end of X-Forwarded-For. */
export type TrustedProxies = {
  /** How many of them there always are. 0: callers reach us themselves, and the header is nobody's word but theirs. */
  hops: number;
  /** Where those are that come on top, some of the time. */
  networks?: Pick<BlockList, 'check'> | undefined;
};

/**
 * Whoever asks, by the addresses that proxies of ours have written. What stands before that is the caller's own word: with the
 * first of them he would have as many names as he likes. A list that is shorter than it should be ends with its first. Of IPv6 it
 * is his network: see `callerOf`.
 */
export function callerAddress(
  { forwardedFor, peer }: { forwardedFor: string | undefined; peer: string | undefined },
  { hops, networks }: TrustedProxies,
): string {
  const own = peer === undefined ? 'unknown' : callerOf(peer);
  if (hops === 0) return own;
  const listed = (forwardedFor ?? '').split(',').map((one) => asIPv4(one.trim()));
  let found: string | undefined;
  let left = hops;
  for (const address of listed.reverse()) {
    const version = isIP(address);
    // one that is none is no proxy's doing
    if (version === 0) break;
    found = callerOf(address);
    if (networks?.check(address, version === 6 ? 'ipv6' : 'ipv4') === true) continue;
    left -= 1;
    if (left === 0) break;
  }
  return found ?? own;
}

/**
 * Who is behind an address: of IPv6 its /64, as `2001:db8:0:1::/64`. That much is the least any site is given (RFC 6177, RFC 7421), and
 * each of its hosts takes a new address when it likes (RFC 8981).
 */
function callerOf(address: string): string {
  const plain = asIPv4(address);
  if (isIP(plain) !== 6) return plain;
  const network = groupsOf(plain).slice(0, 4);
  return `${network.map((group) => group.toString(16)).join(':')}::/64`;
}

/** The IPv4 address that one of IPv6 stands for, mapped (RFC 4291) or translated by the well-known prefix (RFC 6052); else as it is. */
function asIPv4(address: string): string {
  if (isIP(address) !== 6) return address;
  const groups = groupsOf(address);
  const prefix = groups.slice(0, 6).join();
  if (prefix !== '0,0,0,0,0,65535' && prefix !== '100,65435,0,0,0,0') return address;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join('.');
}

/** The eight groups of an IPv6 address, however it is written. */
function groupsOf(address: string): number[] {
  // an address of a URL is written in one way only, and has no zone
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, '')}]`);
  const [front = [], back = []] = hostname
    .slice(1, -1)
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...zeros, ...back].map((group) => Number.parseInt(group, 16));
}

/** Of `10.0.0.0/8,fd00::/8`. Undefined for what is none. */
export function networksOf(text: string): BlockList | undefined {
  const networks = new BlockList();
  for (const one of text.split(',')) {
    const [, address = '', bits] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(one.trim()) ?? [];
    const version = isIP(address);
    if (version === 0 || Number(bits) > (version === 6 ? 128 : 32)) return undefined;
    networks.addSubnet(address, Number(bits), version === 6 ? 'ipv6' : 'ipv4');
  }
  return networks;
}
