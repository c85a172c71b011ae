import { resourceAdd } from '#events/knative/resource-add.ts';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import { resourceUpdate } from '#events/knative/resource-update.ts';
import { parseConfig } from '#shared/runtime/config.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { eventsOfProcess } from '#shared/runtime/own-events.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { observer } from './handler.ts';

const config = parseConfig(platformRows, process.env);
const platform = openPlatform('observe', config);

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: [resourceAdd, resourceUpdate, resourceDelete],
  handle: observer({ ...platform, ...eventsOfProcess(platform) }),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
