import { openWebhookSender } from '#shared/adapters/webhook/send.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { webhooks } from '#shared/runtime/edge-rows.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { openWebhookSecrets } from '#shared/runtime/webhook/secrets.ts';
import { makeAttemptMetrics } from './attempt-metrics.ts';
import { webhookEvents, webhookHandler } from './handler.ts';

const config = parseConfig(defineConfig({ ...platformRows, ...webhooks }), process.env);
const platform = openPlatform('webhook', config);
const sender = openWebhookSender({ policy: config.webhookTargets });
platform.shutdown.during('close-connections', 'webhook receivers', () => sender.end());

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: webhookEvents,
  // A receiver has ten seconds, and is nobody's of ours.
  slowMs: 20_000,
  handle: webhookHandler({
    ...platform,
    sender,
    secrets: openWebhookSecrets(config),
    onAttempt: makeAttemptMetrics(platform.metrics.registry),
    onTrouble: (what, error) => platform.log.warn({ what, err: error }, 'a delivery could not be tried or recorded'),
  }),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
