import type { OdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import type { Metrics } from './metrics.ts';

/** Shows the connections to Odoo's database servers: pooled ones to the control database, and unpooled ones to tenants'. */
export function showServerPools(metrics: Pick<Metrics, 'addServerPools'>, stats: OdooServers['stats']): void {
  metrics.addServerPools('odoo-control', stats);
  metrics.addServerPools('odoo-tenants', () =>
    Object.fromEntries(
      Object.entries(stats()).map(([server, { unpooled, unpooledWaiting, unpooledMax }]) => [
        server,
        { total: unpooled, idle: 0, waiting: unpooledWaiting, max: unpooledMax },
      ]),
    ),
  );
}
