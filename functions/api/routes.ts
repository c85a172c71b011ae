import type { ApiPorts } from './ports.ts';
import type { Route } from './route.ts';
import { planRoutes } from './routes/plans.ts';

/** Every route of the API. The OpenAPI document and the checks are made from this list. */
export function routesOf(ports: ApiPorts): Route[] {
  return [...planRoutes(ports)];
}
