import { exportRequested } from '#events/instance/export.ts';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { exportRecords } from '#shared/adapters/postgres/export-records.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups, exporting } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceFunction } from '#shared/runtime/operation/instance-function.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { exportParticulars } from '#shared/runtime/requests/particulars.ts';
import { exportOperation } from './operation.ts';

const config = parseConfig(defineConfig({ ...instanceOperationRows, ...backups, ...exporting }), process.env);
const platform = openPlatform('export', config);
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const handler = instanceFunction(platform, {
  kind: exportOperation({
    ...backupParts(platform.database, config),
    workers: ports.workers,
    exports: exportRecords(platform.database),
    validSeconds: config.exportHours * 3_600,
  }),
  requested: exportRequested,
  particulars: exportParticulars,
  databases: ports.databases,
  timing: { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
