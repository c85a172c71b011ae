import { isIP } from 'node:net';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { operationHandler } from '#shared/runtime/operation/operation-handler.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { cloneEvents, cloneHandler } from './handler.ts';
import { cloneOperation } from './operation.ts';

const config = parseConfig(defineConfig({ ...instanceOperationRows, ...backups }), process.env);
const platform = openPlatform('clone', config);
const { database, metrics, eventSource } = platform;
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const hasKnownAddresses = ({ host: name }: { host: string }) => isIP(name) !== 0 || config.databaseCidrs !== undefined;
const work = cloneOperation(database, {
  eventSource,
  ports: { ...ports, ...backupParts(database, config), hasKnownAddresses },
});
const timing = { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs };
const operations = operationHandler(platform, work, timing);
const handler = eventFunction({
  ...platform.eventFunctionParts,
  metrics,
  definitions: cloneEvents,
  handle: cloneHandler({ platform, work, operations, eventSource }),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
