import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { credentialsStore } from '#shared/adapters/kubernetes/credentials.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { mailing } from '#shared/runtime/edge-rows.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { knownSecrets } from '#shared/runtime/known-secrets.ts';
import { openMailer } from '#shared/runtime/notification/mailer.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { rememberingCredentials } from '#shared/runtime/remembered-credentials.ts';
import { tenantCluster } from '#shared/runtime/rows.ts';
import { notifyEvents, notifyHandler } from './handler.ts';

const config = parseConfig(defineConfig({ ...platformRows, ...tenantCluster, ...mailing }), process.env);
const platform = openPlatform('notify', config);
const mailer = openMailer(config);
const kubernetes = openKubernetesApi(config.kubeconfig === undefined ? {} : { kubeconfigFile: config.kubeconfig });
platform.shutdown.during('close-connections', 'mail server', () => mailer.end());
platform.shutdown.during('close-connections', 'cluster', () => kubernetes.close());

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: notifyEvents,
  // A mail server takes its time.
  slowMs: 20_000,
  handle: notifyHandler({
    ...platform,
    mailer,
    credentials: rememberingCredentials(credentialsStore(kubernetes, config.tenantNamespace)),
    apiUrl: config.apiUrl,
    remember: (secret) => knownSecrets.addPassing(secret),
    onTrouble: (what, error) => platform.log.warn({ what, err: error }, 'a mail could not be sent or recorded'),
  }),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
