import { backupRequested } from '#events/instance/backup.ts';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceFunction } from '#shared/runtime/operation/instance-function.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { backupParticulars } from '#shared/runtime/requests/particulars.ts';
import { backupOperation } from './operation.ts';

const config = parseConfig(defineConfig({ ...instanceOperationRows, ...backups }), process.env);
const platform = openPlatform('backup', config);
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const handler = instanceFunction(platform, {
  kind: backupOperation({ ...ports, access: ports.backupAccess, ...backupParts(platform.database, config) }),
  requested: backupRequested,
  particulars: backupParticulars,
  databases: ports.databases,
  timing: { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
