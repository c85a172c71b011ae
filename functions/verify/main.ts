import { verifyRequested } from '#events/instance/verify.ts';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { backupParts } from '#shared/runtime/backup-parts.ts';
import { backups, verifying } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceFunction } from '#shared/runtime/operation/instance-function.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { verifyParticulars } from '#shared/runtime/requests/particulars.ts';
import { verifyOperation } from './operation.ts';

const config = parseConfig(defineConfig({ ...instanceOperationRows, ...backups, ...verifying }), process.env);
const platform = openPlatform('verify', config);
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const parts = backupParts(platform.database, config);
const handler = instanceFunction(platform, {
  kind: verifyOperation({
    ...parts,
    workers: ports.workers,
    boots: ports.boots,
    databases: ports.verificationDatabases,
    bootPercent: config.verifyBootPercent,
  }),
  requested: verifyRequested,
  particulars: verifyParticulars,
  databases: ports.databases,
  timing: { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
