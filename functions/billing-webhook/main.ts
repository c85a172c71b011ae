import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { billingWebhook } from '#shared/runtime/edge-rows.ts';
import { host } from '#shared/runtime/host.ts';
import { httpFunction } from '#shared/runtime/http-function.ts';
import { knownSecrets } from '#shared/runtime/known-secrets.ts';
import { eventsOfProcess } from '#shared/runtime/own-events.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { billingWebhookHandler } from './handler.ts';
import { paced } from './paced.ts';
import { linesOf } from './shown-secrets.ts';
import { verifiersOf } from './signed.ts';

const config = parseConfig(defineConfig({ ...platformRows, ...billingWebhook }), process.env);
const platform = openPlatform('billing-webhook', config);
const killBillTokens = linesOf(config.killBillWebhookToken);
const verifiers = verifiersOf(linesOf(config.billingWebhookSecret));
// each line for itself: the file as a whole was made known when it was read
for (const secret of [...killBillTokens, ...linesOf(config.billingWebhookSecret)]) knownSecrets.add(secret);
if (killBillTokens.length + verifiers.length === 0) {
  platform.log.warn('neither KILL_BILL_WEBHOOK_TOKEN_FILE nor BILLING_WEBHOOK_SECRET_FILE is set: nothing is taken');
}

const own = eventsOfProcess(platform);
const flush = paced(own.flush, 50);
// what was accepted last may not have been sent when it was answered
platform.shutdown.during('flush', 'notifications', flush);
const handle = billingWebhookHandler({ ...platform, database: own.database, flush, killBillTokens, verifiers });
const handler = httpFunction(handle, { log: platform.log, metrics: platform.metrics });

await host(platform, handler, { isProgram: import.meta.main, ...config });
