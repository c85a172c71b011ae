/**
 * First labels of a host that no customer gets: names of the platform's own sites, of mail and name servers, and those a
 * visitor would take for ours. The database's check constraint refuses exactly these too.
 */
export const reservedNames: readonly string[] = [
  'admin',
  'api',
  'app',
  'auth',
  'backup',
  'billing',
  'blog',
  'broker',
  'cdn',
  'console',
  'dashboard',
  'db',
  'dev',
  'dns',
  'docs',
  'events',
  'fleet',
  'ftp',
  'git',
  'grafana',
  'help',
  'imap',
  'internal',
  'localhost',
  'login',
  'mail',
  'metrics',
  'mx',
  'ns',
  'ns1',
  'ns2',
  'pop',
  'portal',
  'postgres',
  'prometheus',
  'proxy',
  'public',
  'rabbitmq',
  'redis',
  'registry',
  'root',
  's3',
  'shop',
  'smtp',
  'sso',
  'staging',
  'static',
  'status',
  'support',
  'system',
  'template0',
  'template1',
  'test',
  'vpn',
  'webmail',
  'www',
];

const reserved: ReadonlySet<string> = new Set(reservedNames);

/** Is this first label of a host kept for the platform? In any case of letters. */
export function isReservedName(name: string): boolean {
  return reserved.has(name.toLowerCase());
}
