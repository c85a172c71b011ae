import { purgeRequested } from '#events/instance/purge.ts';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { purgeFindings } from '#shared/adapters/postgres/deletion-records.ts';
import { finalBackups } from '#shared/adapters/postgres/final-backups.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import { keyRing } from '#shared/runtime/backup-rows.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceFunction } from '#shared/runtime/operation/instance-function.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { purgeOperation } from './operation.ts';

const config = parseConfig(defineConfig({ ...instanceOperationRows, ...keyRing }), process.env);
const platform = openPlatform('purge', config);
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const handler = instanceFunction(platform, {
  kind: purgeOperation({
    ...ports,
    findings: purgeFindings(platform.database),
    signer: config.backupKeysFile === undefined ? undefined : openBackupKeys(config).signer,
  }),
  requested: purgeRequested,
  databases: ports.databases,
  timing: { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs },
  finalBackups: finalBackups(platform.database),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
