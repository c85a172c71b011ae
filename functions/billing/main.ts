import { accountRefresh } from '#events/billing/account-refresh.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { killBill } from '#shared/runtime/edge-rows.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { killBillOf } from '#shared/runtime/kill-bill/open.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { billingEvents, billingHandler } from './handler.ts';
import { refreshHandler } from './refresh.ts';

const config = parseConfig(defineConfig({ ...platformRows, ...killBill }), process.env);
const platform = openPlatform('billing', config);
const opened = killBillOf(config);
if (opened !== undefined) platform.shutdown.during('close-connections', 'kill bill', () => opened.close());

const refresh = refreshHandler({ ...platform, killBill: opened, dueDays: config.killBillDueDays });
const decide = billingHandler(platform);

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: [...billingEvents, accountRefresh],
  // Kill Bill may take its time.
  slowMs: 5_000,
  handle: (event, authority) =>
    event.type === accountRefresh.type ? refresh(event.data.account) : decide(event, authority),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
