import { parseConfig } from '#shared/runtime/config.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { billingEvents, billingHandler } from './handler.ts';

const config = parseConfig(platformRows, process.env);
const platform = openPlatform('billing', config);

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: billingEvents,
  handle: billingHandler(platform),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
