// The product's passes over all shards once, in a process of its own, so that its memory is that of the passes.
import { writeFile } from 'node:fs/promises';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import {
  type CatalogueDatabase,
  databaseDriftOf,
  databaseOrphansOf,
} from '#shared/adapters/odoo-server/catalogue-drift.ts';
import { personalisedMark } from '#shared/adapters/odoo-server/object-names.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import type { Survey } from '#shared/domain/drift/ports.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { PassReport } from '#shared/runtime/reconcile/pass.ts';
import { reconcileDueShards } from '#shared/runtime/reconcile/shards.ts';
import { instanceIdOf, namespaceOf, plan, serverCount, settings } from '../fleet.ts';

/** What this process is given. */
export type EngineInput = {
  database: { host: string; port: number; database: string; user: string; password: string };
  kubeconfigFile: string;
  /** Instances whose objects and databases there are. */
  instances: number;
  resultFile: string;
};

/** What it tells. */
export type EngineResult = {
  seconds: number;
  /** Processor time of this process: what other work on the machine does not change. */
  processorSeconds: number;
  passes: number;
  instances: number;
  findings: number;
  blind: number;
  kubernetesCalls: number;
  connections: number;
  surveys: number;
  peakMib: number;
  /** Before the first pass. */
  startMib: number;
};

const input = JSON.parse(process.env['INPUT'] ?? '{}') as EngineInput;

/** A server's catalogue as the three queries of a survey give it, without the server. */
function catalogueOf(serverId: string, shard: string): Survey {
  const databases = new Map<string, CatalogueDatabase>();
  const roles = new Map<string, { name: string; mayLogIn: boolean; connectionLimit: number; isPrivileged: boolean }>();
  for (const number of numbersOf(shard)) {
    if (`pg-${number % serverCount}` !== serverId) continue;
    const id = instanceIdOf(number);
    const { database, role, ownerRole } = namesOf(id);
    databases.set(database, {
      name: database,
      owner: ownerRole,
      isOurs: true,
      allowsConnections: true,
      mark: personalisedMark(id),
      publicMayConnect: false,
      namesakeMayConnect: true,
      bytes: 21_000_000,
    });
    roles.set(role, { name: role, mayLogIn: true, connectionLimit: plan.databaseConnections, isPrivileged: false });
    roles.set(ownerRole, { name: ownerRole, mayLogIn: false, connectionLimit: -1, isPrivileged: false });
  }
  const found = { databases, roles };
  return {
    driftOf: (instance) => databaseDriftOf(instance, found),
    orphans: (known) => databaseOrphansOf(found, known),
  };
}

const numbers = Array.from({ length: input.instances }, (_, number) => number);
const byShard = Map.groupBy(numbers, (number) => instanceIdOf(number).slice(0, 1));
const numbersOf = (shard: string): readonly number[] => byShard.get(shard) ?? [];

const database = openDatabase({
  ...input.database,
  driver: 'pg',
  applicationName: 'bench',
  maxConnections: 5,
  sslMode: 'disable',
  onError: (failure) => console.error(failure.message),
});
const tenants = openTenantCluster({
  ...settings,
  kubeconfigFile: input.kubeconfigFile,
  namespace: namespaceOf(input.instances),
});
await database.query('select 1');
const mib = () => process.memoryUsage().rss / 1024 / 1024;
const startMib = mib();
let surveys = 0;
const startedMs = performance.now();
const startedCpu = process.cpuUsage();
const reports: PassReport[] = [];
for (let more = true; more; ) {
  const passed = await reconcileDueShards(
    {
      database,
      clusterId: 'default',
      holder: 'bench',
      eventSource: 'urn:odoo-fleet',
      settings: { everyMs: 300_000, orphanQuarantineDays: 7, purgesAfterWindow: false },
      surveyors: {
        cluster: (shard) => tenants.survey(shard),
        server: async ({ id }, shard) => {
          surveys += 1;
          return catalogueOf(id, shard);
        },
      },
      warmShortages: async () => [],
      onFinding: () => undefined,
      onTrouble: (what, error) => console.error(what, error),
    },
    { budgetMs: 60_000 },
  );
  reports.push(...passed);
  more = passed.length > 0;
}
const cpu = process.cpuUsage(startedCpu);
const result: EngineResult = {
  seconds: (performance.now() - startedMs) / 1_000,
  processorSeconds: (cpu.user + cpu.system) / 1_000_000,
  passes: reports.length,
  instances: reports.reduce((sum, report) => sum + report.instances, 0),
  findings: reports.reduce((sum, report) => sum + report.findings, 0),
  blind: reports.reduce((sum, report) => sum + report.blind.length, 0),
  kubernetesCalls: tenants.stats().calls,
  connections: tenants.stats().connections,
  surveys,
  peakMib: process.resourceUsage().maxRSS / 1024,
  startMib,
};
await tenants.close();
await database.end();
await writeFile(input.resultFile, JSON.stringify(result));
