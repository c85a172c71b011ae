import { ping } from '#events/knative/ping.ts';
import { openResender } from '#shared/adapters/eventing/resend.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { openOdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import { readPointNumbers } from '#shared/adapters/postgres/backup-numbers.ts';
import { forgetNotifications } from '#shared/adapters/postgres/billing-notifications.ts';
import { readEdgeCounts, readEdgeWaiting } from '#shared/adapters/postgres/edge-numbers.ts';
import { readFleetNumbers } from '#shared/adapters/postgres/fleet-numbers.ts';
import { adoptLegacyServer } from '#shared/adapters/postgres/legacy-server.ts';
import { ruleOf } from '#shared/domain/drift/policy.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { backupRemover, backups } from '#shared/runtime/backup-rows.ts';
import { billingUpkeep } from '#shared/runtime/billing/upkeep.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { eventFunctions } from '#shared/runtime/dead-letter/origin.ts';
import { deadLetterUpkeep } from '#shared/runtime/dead-letter/upkeep.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { askForDueLooks } from '#shared/runtime/kill-bill/look.ts';
import { knownSecrets } from '#shared/runtime/known-secrets.ts';
import { makeMailUpkeep } from '#shared/runtime/notification/upkeep.ts';
import { settleObservations } from '#shared/runtime/observations.ts';
import { odooAdminPasswords } from '#shared/runtime/odoo-passwords.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import {
  deadLetterSpool,
  functionAddresses,
  instanceDefaults,
  odooServers,
  reconciling,
  tenantCluster,
} from '#shared/runtime/rows.ts';
import { showServerPools } from '#shared/runtime/server-pools.ts';
import { tenantClusterOptions } from '#shared/runtime/tenant-cluster-options.ts';
import { makeWebhookUpkeep } from '#shared/runtime/webhook/upkeep.ts';
import { backupTickParts } from './backups/parts.ts';
import { makePlatformBackupGauge } from './backups/platform-age.ts';
import { makeFleetGauges } from './gauges.ts';
import { type TickPart, tick } from './handler.ts';
import { lastKnown, nowAndThen } from './now-and-then.ts';
import { findShortages } from './server-upkeep.ts';
import { makeTickMetrics } from './tick-metrics.ts';
import { upkeepTeller } from './upkeep-teller.ts';
import { makeWarmGauges } from './warm-gauges.ts';

const { clusterId } = instanceDefaults;
const rows = defineConfig({
  ...platformRows,
  ...odooServers,
  ...tenantCluster,
  ...functionAddresses,
  ...deadLetterSpool,
  ...reconciling,
  ...backups,
  ...backupRemover,
  clusterId,
});
const config = parseConfig(rows, process.env);
const platform = openPlatform('reconcile', config);
const { log, metrics, shutdown } = platform;

const servers = openOdooServers({ adminPassword: odooAdminPasswords(config), log, applicationName: 'fleet reconcile' });
const tenants = openTenantCluster(tenantClusterOptions(config));
shutdown.during('close-connections', 'odoo servers', () => servers.end());
shutdown.during('close-connections', 'cluster', () => tenants.close());

showServerPools(metrics, () => servers.stats());
const complained = new Set<string>();

async function adoptLegacy(): Promise<void> {
  if (config.legacyHost === undefined) return;
  const { legacyHost, legacyPort, legacyUser } = config;
  if (await adoptLegacyServer(platform.database, { host: legacyHost, port: legacyPort, user: legacyUser })) {
    log.warn('db_servers had no row: the server of ODOO_POSTGRES_* was added as "legacy". Add your servers there.');
  }
}

const showNumbers = makeFleetGauges(metrics.registry);
const showWarm = makeWarmGauges(metrics.registry);
const ticks = makeTickMetrics(metrics.registry);
const tell = upkeepTeller({ log, registry: metrics.registry });
const resender = openResender();
shutdown.during('close-connections', 'dead letters', () => resender.end());
const spool = config.spoolFolder === undefined ? undefined : openDirectoryStore(config.spoolFolder);
const onTrouble = (what: string, error: unknown) => {
  ticks.troubles.inc();
  log.warn({ what, err: asFailure(error) }, 'a part of the tick failed');
};
// a number that stands still says that nothing waits: after a few minutes none is shown, of which an alert tells
const edgeKept = { keptMs: 300_000, onTrouble: (error: unknown) => onTrouble('numbers of the edge', error) };
// They read something of every instance, or of days, and change slowly. Without those of the edge the others are shown.
const seldom = {
  readPoints: nowAndThen(() => readPointNumbers(platform.database), { everyMs: 60_000 }),
  edge: {
    readWaiting: lastKnown(() => readEdgeWaiting(platform.database), edgeKept),
    readCounts: nowAndThen(
      lastKnown(() => readEdgeCounts(platform.database), edgeKept),
      { everyMs: 60_000 },
    ),
  },
};

// Kill Bill repeats what was not taken for about two days; payments are news for a week.
const forgetOld = nowAndThen(() => forgetNotifications(platform.database, { olderThanDays: 30, limit: 1_000 }), {
  everyMs: 600_000,
});
const parts: readonly TickPart[] = [
  { name: 'observations', run: () => settleObservations(platform) },
  { name: 'billing', run: async () => tell.billing(await billingUpkeep({ ...platform, onTrouble })) },
  { name: 'Kill Bill', run: () => askForDueLooks(platform) },
  { name: 'billing notifications', run: forgetOld },
  {
    name: 'dead letters',
    run: async () => {
      const report = await deadLetterUpkeep({
        ...platform,
        functionUrl: config.functionUrl,
        functions: eventFunctions,
        brokerUrl: config.brokerUrl,
        resend: resender.send,
        spool,
        onTrouble,
        budgetMs: 5_000,
      });
      tell.deadLetters(report);
    },
  },
];
const backupParts = {
  jobs: tenants.workers,
  cluster: tenants.cluster,
  verifications: servers.verifications,
  loads: servers.loads,
  sides: servers.sides,
  showPlatformBackup: makePlatformBackupGauge(metrics.registry),
  onTrouble,
};
const publishStraight = (name: string, events: readonly OutgoingEvent[]) =>
  platform.publishTo(config.functionUrl.replace('{function}', name), events);
const slowParts = [
  ...backupTickParts(platform, config, backupParts),
  // A request to webhook is answered when its receivers have answered.
  { name: 'webhooks', run: makeWebhookUpkeep({ ...platform, publishStraight, onTrouble }) },
  { name: 'mails', run: makeMailUpkeep({ ...platform, publishStraight, onTrouble }) },
];

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: [ping],
  // Clones and Jobs take their time; a tick is slow by nature.
  slowMs: 20_000,
  async handle() {
    const report = await tick({
      ...platform,
      parts,
      slowParts,
      publishStraight,
      ports: {
        warm: servers.warm,
        jobs: tenants.jobs,
        remember: (secret) => knownSecrets.addPassing(secret),
        reach: (server) => servers.reach(server),
        sweep: (server) => servers.sweep(server),
      },
      engine: {
        clusterId: config.clusterId,
        surveyors: {
          cluster: (shard) => tenants.survey(shard),
          server: (server, shard) => servers.survey(server, shard),
        },
        warmShortages: () => findShortages(platform.database, servers.warm),
        settings: {
          everyMs: config.reconcileEveryMs,
          orphanQuarantineDays: config.orphanQuarantineDays,
          purgesAfterWindow: config.purgeAfterWindow === 'on',
        },
        onFinding: (finding) => {
          const rule = ruleOf(finding.kind);
          const level = rule?.severity === 'alarm' ? 'error' : 'warn';
          log[level]({ finding, what: rule?.what, toDo: rule?.toDo }, 'the world is not as the records want it');
        },
      },
      adoptLegacyServer: adoptLegacy,
      onWarm: (one) => {
        showWarm(one);
        const isNews = one.reason !== undefined && !complained.has(one.reason);
        if (isNews) log.error({ server: one.serverId, reason: one.reason }, 'a template cannot be built');
        if (one.reason !== undefined) complained.add(one.reason);
      },
      onTrouble,
    });
    // What the parts have asked for goes out with this tick, not with the next.
    await platform.flush();
    await readFleetNumbers(platform.database, seldom).then(showNumbers, (error: unknown) =>
      onTrouble('numbers', error),
    );
    ticks.lastEnd.setToCurrentTime();
    return report.woken > 0 ? 'woke' : 'quiet';
  },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
