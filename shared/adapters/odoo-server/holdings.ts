import { instanceIdPattern } from '#shared/domain/instance/names.ts';
import type { ServerHoldings } from '#shared/domain/platform/world.ts';
import type { ServerAccess } from './server-access.ts';

/** What the server holds of every instance: fences and databases. It reads the control database and the shared catalogue only. */
export async function readServerHoldings(access: ServerAccess): Promise<ServerHoldings> {
  return await access.control('read what is there of instances', async (client) => {
    const fences = await client.query<{ id: string; n: string }>(
      'SELECT instance_id AS id, n::text AS n FROM public.fence',
    );
    const databases = await client.query<{ name: string }>(
      `SELECT datname::text AS name FROM pg_database WHERE datname ~ '^((odoo|tombstone)_[a-z2-7]{12}|old_[a-z2-7]{12}_[0-9a-f]{8})$'`,
    );
    const named = (prefix: string) =>
      new Set(
        databases.rows
          .filter(({ name }) => name.startsWith(`${prefix}_`))
          .map(({ name }) => name.slice(prefix.length + 1)),
      );
    return {
      serverId: access.server.id,
      fences: new Map(
        fences.rows.filter(({ id }) => instanceIdPattern.test(id)).map(({ id, n }) => [id, Number(n)] as const),
      ),
      live: named('odoo'),
      aside: named('tombstone'),
      oldSides: databases.rows.map(({ name }) => name).filter((name) => name.startsWith('old_')),
    };
  });
}
