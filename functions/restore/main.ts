import { setTimeout as pause } from 'node:timers/promises';
import { restoreRequested } from '#events/instance/restore.ts';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { moveOn, underLease } from '#shared/runtime/operation/ends.ts';
import { instanceFunction } from '#shared/runtime/operation/instance-function.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { restoreParticulars } from '#shared/runtime/requests/particulars.ts';
import { restoreOperation } from './operation.ts';

const config = parseConfig(defineConfig({ ...instanceOperationRows, ...backups }), process.env);
const platform = openPlatform('restore', config);
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const { database, eventSource: source } = platform;
const handler = instanceFunction(platform, {
  kind: restoreOperation({
    ...ports,
    ...backupParts(database, config),
    pause,
    async beginMaintenance(context) {
      const reason = 'The database is being exchanged.';
      await underLease(database, context, (transaction) =>
        moveOn(transaction, context, { event: 'restore-began', reason, source }),
      );
    },
  }),
  requested: restoreRequested,
  particulars: restoreParticulars,
  databases: ports.databases,
  timing: { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
