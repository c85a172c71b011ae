import { Failure } from '#shared/domain/failure.ts';

/** A host of a customer's own that is to lead to his instance. */
export type CustomDomain = {
  host: string;
  instanceId: string;
  /** What he has to publish in DNS to show that the host is his. */
  token: string;
  createdAt: Date;
  createdBy: string;
  /** Null until it was found there. */
  verifiedAt: Date | null;
};

/** Looks things up in DNS. */
export type DomainResolver = {
  /** Texts of the TXT records of a name, each in one piece; none when there is no such name. @throws Failure `unavailable`. */
  texts(name: string): Promise<readonly string[]>;
};

/** Hosts an instance may have besides its own, proven or not. */
export const domainsPerInstance = 20;

const labelPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Names that lead nowhere in the public DNS, or inside a cluster (RFC 6761, RFC 7686, RFC 8375). */
const specialUse: ReadonlySet<string> = new Set([
  ...['localhost', 'local', 'internal', 'invalid', 'test', 'onion', 'arpa', 'alt', 'home', 'lan', 'corp'],
]);

/**
 * The host in its one form: lower case, without a dot at its end. `ours`: domains under which instances get their hosts.
 * @throws Failure `invalid-request` or `name-reserved` that says what to write.
 */
export function readHost(text: string, ours: readonly string[]): string {
  const host = text.toLowerCase().replace(/\.$/, '');
  const labels = host.split('.');
  if (host.length > 253 || labels.length < 2 || !labels.every((label) => labelPattern.test(label))) {
    throw refused('invalid-request', 'Write a host such as shop.example.com; names in other scripts as xn--…');
  }
  const last = labels.at(-1) ?? '';
  if (/^\d+$/.test(last)) throw refused('invalid-request', 'Write a host, not an address.');
  if (specialUse.has(last)) throw refused('name-reserved', `Hosts under .${last} are not in the public DNS.`);
  const own = ours.find((domain) => host === domain || host.endsWith(`.${domain}`) || domain.endsWith(`.${host}`));
  if (own !== undefined) throw refused('name-reserved', `Hosts under ${own} are the platform's own.`);
  return host;
}

/** The TXT record that proves the host: where it is, and its text. */
export function proofOf({ host, token }: Pick<CustomDomain, 'host' | 'token'>): { name: string; text: string } {
  return { name: `_odoo-fleet.${host}`, text: `odoo-fleet=${token}` };
}

/** Is the record among those that were found? Blanks at its ends are somebody's form, not another text. */
export function isProven(domain: Pick<CustomDomain, 'host' | 'token'>, texts: readonly string[]): boolean {
  const { text } = proofOf(domain);
  return texts.some((found) => found.trim() === text);
}

/** Tokens of all proofs among the records. */
export function tokensAmong(texts: readonly string[]): string[] {
  return texts.flatMap((found) => /^odoo-fleet=([a-z2-7]{32})$/.exec(found.trim())?.[1] ?? []);
}

function refused(code: 'invalid-request' | 'name-reserved', text: string): Failure {
  return new Failure(code, text, { facts: { field: 'body.host' } });
}
