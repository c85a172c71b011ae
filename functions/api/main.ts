import { openDomainResolver } from '#shared/adapters/dns/resolver.ts';
import { openResender } from '#shared/adapters/eventing/resend.ts';
import { openAccess } from '#shared/runtime/access/open.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { eventFunctions } from '#shared/runtime/dead-letter/origin.ts';
import { access as accessRows, customDomains, proxies as proxyRows, webhooks } from '#shared/runtime/edge-rows.ts';
import { host } from '#shared/runtime/host.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { functionAddresses, instanceDefaults } from '#shared/runtime/rows.ts';
import { openWebhookSecrets } from '#shared/runtime/webhook/secrets.ts';
import { apiHandler } from './app.ts';
import { routesOf } from './routes.ts';

const rows = defineConfig({
  ...platformRows,
  ...accessRows,
  ...proxyRows,
  ...customDomains,
  ...webhooks,
  ...functionAddresses,
  ...instanceDefaults,
});
const config = parseConfig(rows, process.env);
const platform = openPlatform('api', config);
const { database, cache, log, metrics, shutdown } = platform;

const access = openAccess(config, { database, log, redis: cache.redis });
// a function that has to be started first answers after its steps
const resender = openResender({ timeoutMs: 30_000 });
const draining = new AbortController();
shutdown.during('stop-accepting', 'streams', () => draining.abort());
shutdown.during('close-connections', 'access', () => access.end());
shutdown.during('close-connections', 'dead letters', () => resender.end());

const { brokerUrl, dnsServers, functionUrl, defaultImage: imageId, clusterId, defaultLanguage: language } = config;
const routes = routesOf({
  database,
  cache,
  log,
  eventSource: platform.eventSource,
  defaults: { imageId, clusterId, language },
  draining: draining.signal,
  replay: { functionUrl, functions: eventFunctions, brokerUrl, resend: resender.send },
  isRedisReachable: cache.isReachable,
  resolver: openDomainResolver(dnsServers === undefined ? {} : { servers: dnsServers.split(',') }),
  forgetKey: access.forget,
  webhooks: { secrets: openWebhookSecrets(config), targets: config.webhookTargets },
  flush: platform.flush,
});
const proxies = { hops: config.trustedHops, networks: config.trustedProxies };
const handler = apiHandler({ routes, access, log, metrics, proxies, settle: () => cache.settle(1_000) });

await host(platform, handler, { isProgram: import.meta.main, ...config });
