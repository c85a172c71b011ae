import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { operationHandler } from '#shared/runtime/operation/operation-handler.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { instanceDefaults } from '#shared/runtime/rows.ts';
import { importEvents, importHandler } from './handler.ts';
import { importOperation } from './operation.ts';

const rows = defineConfig({ ...instanceOperationRows, ...instanceDefaults, ...backups });
const config = parseConfig(rows, process.env);
const platform = openPlatform('import', config);
const { database, metrics, eventSource } = platform;
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const work = importOperation(database, { eventSource, ports: { ...ports, ...backupParts(database, config) } });
const timing = { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs };
const operations = operationHandler(platform, work, timing);
const handler = eventFunction({
  ...platform.eventFunctionParts,
  metrics,
  definitions: importEvents,
  handle: importHandler({
    platform,
    work,
    operations,
    defaults: {
      imageId: config.defaultImage,
      clusterId: config.clusterId,
      language: config.defaultLanguage,
      eventSource,
    },
  }),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
