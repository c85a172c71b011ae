import { terminateRequested } from '#events/instance/terminate.ts';
import { openInstancePorts } from '#shared/adapters/instance-ports.ts';
import { parseConfig } from '#shared/runtime/config.ts';
import { host } from '#shared/runtime/host.ts';
import { instanceFunction } from '#shared/runtime/operation/instance-function.ts';
import { instanceOperationRows, instancePortsOptions } from '#shared/runtime/operation/instance-ports-options.ts';
import { openPlatform } from '#shared/runtime/platform.ts';
import { terminateOperation } from './operation.ts';

const config = parseConfig(instanceOperationRows, process.env);
const platform = openPlatform('terminate', config);
const { ports, closers } = openInstancePorts(instancePortsOptions(platform, config));
for (const { name, close } of closers) platform.shutdown.during('close-connections', name, close);

const handler = instanceFunction(platform, {
  kind: terminateOperation(ports),
  requested: terminateRequested,
  databases: ports.databases,
  timing: { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
