import type { ApiPorts } from './ports.ts';
import type { Route } from './route.ts';
import { auditRoutes } from './routes/audit.ts';
import { backupRoutes } from './routes/backups.ts';
import { bouncedAddressRoutes } from './routes/bounced-addresses.ts';
import { consoleRoutes } from './routes/console.ts';
import { customerRoutes } from './routes/customers.ts';
import { databaseServerRoutes } from './routes/database-servers.ts';
import { deadEventRoutes } from './routes/dead-events.ts';
import { documentRoutes } from './routes/documents.ts';
import { domainRoutes } from './routes/domains.ts';
import { findingRoutes } from './routes/findings.ts';
import { firstLoginRoutes } from './routes/first-login.ts';
import { healthRoutes } from './routes/health.ts';
import { instanceBatchRoutes } from './routes/instance-batches.ts';
import { instanceChangeRoutes } from './routes/instance-changes.ts';
import { instanceCommandRoutes } from './routes/instance-commands.ts';
import { instanceRoutes } from './routes/instances.ts';
import { keyRoutes } from './routes/keys.ts';
import { operationCommandRoutes } from './routes/operation-commands.ts';
import { operationProgressRoutes } from './routes/operation-progress.ts';
import { operationRoutes } from './routes/operations.ts';
import { planRoutes } from './routes/plans.ts';
import { webhookDeliveryRoutes } from './routes/webhook-deliveries.ts';
import { webhookEndpointRoutes } from './routes/webhook-endpoints.ts';

/** Every route of the API. The OpenAPI document and the checks are made from this list. */
export function routesOf(ports: ApiPorts): Route[] {
  return [
    ...instanceRoutes(ports),
    ...operationRoutes(ports),
    ...backupRoutes(ports),
    ...planRoutes(ports),
    ...databaseServerRoutes(ports),
    ...deadEventRoutes(ports),
    ...auditRoutes(ports),
    ...healthRoutes(ports),
    ...documentRoutes(),
    ...consoleRoutes(),
    ...instanceChangeRoutes(ports),
    ...instanceCommandRoutes(ports),
    ...instanceBatchRoutes(ports),
    ...operationCommandRoutes(ports),
    ...operationProgressRoutes(ports),
    ...keyRoutes(ports),
    ...customerRoutes(ports),
    ...domainRoutes(ports),
    ...webhookEndpointRoutes(ports),
    ...webhookDeliveryRoutes(ports),
    ...firstLoginRoutes(ports),
    ...bouncedAddressRoutes(ports),
    ...findingRoutes(ports),
  ];
}
