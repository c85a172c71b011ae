import { dropDatabases, listDatabases } from './databases.ts';
import type { ServerAccess } from './server-access.ts';

/**
 * Drops what a holder left that was killed after it had lost the fence: nobody who comes later would look for it.
 * A `making_` database of the current holder stays, and so does one of an instance whose fence is not known.
 */
export async function sweepServer(access: ServerAccess): Promise<readonly string[]> {
  const garbage = await access.control('look for databases nobody needs', async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT datname::text AS name FROM pg_database JOIN public.fence f
         ON starts_with(datname::text, 'making_' || f.instance_id || '_')
       WHERE CASE WHEN datname ~ '^making_[a-z2-7]{12}_[0-9]{1,18}$'
               THEN split_part(datname::text, '_', 3)::bigint < f.n ELSE false END
         AND pg_has_role(current_user, datdba, 'USAGE')`,
    );
    return [...(await listDatabases(client, 'trash_')), ...rows.map((row) => row.name)];
  });
  return dropDatabases(access, garbage, { applicationName: 'fleet-sweep' });
}
