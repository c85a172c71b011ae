import type { InstanceTraces } from '#shared/domain/instance/traces.ts';
import { checkInstanceId } from './object-names.ts';
import type { ServerAccess } from './server-access.ts';

// The size of a database that is dropped meanwhile cannot be asked for: by its oid the answer is null then, no error.
const text = `
  SELECT datname::text AS name, coalesce(pg_database_size(oid), 0)::text AS bytes FROM pg_database
    WHERE strpos(datname, $1) > 0
  UNION ALL SELECT rolname::text, NULL FROM pg_roles WHERE strpos(rolname, $1) > 0 ORDER BY 1`;

/** Looks for an instance's id in the names of all databases and roles of a server. */
export function instanceTraces(
  accessOf: (server: Parameters<InstanceTraces['list']>[0]) => Promise<ServerAccess>,
): InstanceTraces {
  return {
    async list(server, instanceId) {
      const access = await accessOf(server);
      const { rows } = await access.control('look for what is left of an instance', (client) =>
        client.query<{ name: string; bytes: string | null }>(text, [`_${checkInstanceId(instanceId)}`]),
      );
      return {
        databases: rows.flatMap(({ name, bytes }) => (bytes === null ? [] : [{ name, bytes: Number(bytes) }])),
        roles: rows.filter(({ bytes }) => bytes === null).map(({ name }) => name),
      };
    },
  };
}
