import { Failure } from '../failure.ts';

/** `public`: https to public addresses only. `any`: for tests and runs on one machine. */
export type TargetPolicy = 'public' | 'any';

/** Others would make the sender a scanner of ports. */
const allowedPorts: readonly string[] = ['', '443', '8443'];

/**
 * The address of an endpoint as it is stored. Where its name leads is looked at when it is used, not here: it may lead elsewhere by then.
 * @throws Failure `invalid-request`
 */
export function checkTarget(text: string, policy: TargetPolicy): string {
  const refuse = (why: string): never => {
    throw new Failure('invalid-request', `url ${why}.`, { facts: { field: 'body.url' } });
  };
  if (text.length > 2_000 || !URL.canParse(text)) return refuse('must be an absolute URL of at most 2000 characters');
  const { protocol, hostname, port, username, password, hash, href } = new URL(text);
  if (username !== '' || password !== '') return refuse('must hold no user name and no password');
  if (hash !== '') return refuse('must have no part after "#"');
  if (policy === 'any') return /^https?:$/.test(protocol) ? href : refuse('must begin with http:// or https://');
  if (protocol !== 'https:') return refuse('must begin with https://');
  if (!allowedPorts.includes(port)) return refuse('must use port 443 or 8443');
  if (isAddress(hostname)) return refuse('must name a host, not an IP address');
  if (!isPublicName(hostname)) return refuse('must name a host that is reached from the internet');
  return href;
}

/** As `URL` writes it: IPv6 in brackets, every form of IPv4 in four decimal parts. */
function isAddress(hostname: string): boolean {
  return /^\d+(\.\d+){3}$/.test(hostname) || hostname.startsWith('[');
}

const localNames = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|svc|test|invalid|onion|home\.arpa)$/;

function isPublicName(hostname: string): boolean {
  const name = hostname.replace(/\.$/, '');
  return name.includes('.') && !localNames.test(name);
}
