import { BlockList, isIP } from 'node:net';

/** What is not the internet's (the special-purpose registries of IANA), and multicast. */
const blocked = new BlockList();
const blocked4: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // the metadata service of one cloud, and the internal resolver of another
  ['168.63.129.16', 32],
];
for (const [net, prefix] of blocked4) blocked.addSubnet(net, prefix, 'ipv4');

/** Of IPv6 only global unicast is the internet's; these parts of it lead elsewhere. */
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');
const blocked6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];
for (const [net, prefix] of blocked6) blocked.addSubnet(net, prefix, 'ipv6');

/**
 * Is it an address of the internet? IPv4 within IPv6 in any of its forms (mapped, 6to4, NAT64, Teredo) is not: what they
 * carry would have to be looked at, too, and no public receiver needs them.
 */
export function isPublicAddress(address: string): boolean {
  // a zone belongs to a link
  if (address.includes('%')) return false;
  const family = isIP(address);
  if (family === 4) return !blocked.check(address, 'ipv4');
  return family === 6 && globalUnicast.check(address, 'ipv6') && !blocked.check(address, 'ipv6');
}
