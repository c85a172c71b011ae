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
 * first of them he would have as many names as he likes. A list that is shorter than it should be ends with its first.
 */
export function callerAddress(
  { forwardedFor, peer }: { forwardedFor: string | undefined; peer: string | undefined },
  { hops, networks }: TrustedProxies,
): string {
  const own = peer ?? 'unknown';
  if (hops === 0) return own;
  const listed = (forwardedFor ?? '').split(',').map((one) => one.trim().replace(/^::ffff:(?=\d+\.)/i, ''));
  let found: string | undefined;
  let left = hops;
  for (const address of listed.reverse()) {
    const version = isIP(address);
    // one that is none is no proxy's doing
    if (version === 0) break;
    found = address;
    if (networks?.check(address, version === 6 ? 'ipv6' : 'ipv4') === true) continue;
    left -= 1;
    if (left === 0) break;
  }
  return found ?? own;
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
