import type { RestoredState } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { saysTenantIsFull } from './errors.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { moduleStatements, nowUtc } from './identity.ts';
import { checkLoadName, tenantNames } from './object-names.ts';
import { quoteLiteral } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, commit } from './transaction.ts';

type Wanted = Parameters<RestoredState['putRight']>[2];

/** The port on one server per call; `reach` gives a server that is prepared. */
export function restoredState(reach: (server: DatabaseServer) => Promise<ServerAccess>): RestoredState {
  return {
    readUuid: async (server, instanceId, { password }) => readUuid(await reach(server), instanceId, password),
    putRight: async (server, fenced, wanted) => putRight(await reach(server), fenced, wanted),
  };
}

/** Whatever is wrong with the live database may be why another one is to take its place. */
async function readUuid(access: ServerAccess, instanceId: string, password: string): Promise<string | undefined> {
  const { database, role } = tenantNames(instanceId);
  try {
    return await access.unpooled('read database.uuid', { database, tenant: { role, password } }, async (client) => {
      const { rows } = await client.query<{ value: string }>(
        "SELECT pg_catalog.left(value::text, 100) AS value FROM ONLY public.ir_config_parameter WHERE key = 'database.uuid' LIMIT 1",
      );
      return rows[0]?.value;
    });
  } catch (error) {
    // What is worn out by its own tenant does not answer; what is loaded has the uuid of the same instance.
    const isAway = !(error instanceof Failure) || (error.code === 'unavailable' && !saysTenantIsFull(error));
    if (isAway) throw error;
    return undefined;
  }
}

/**
 * What a copy of an earlier time says and is not so now. Scheduled actions stay as they are: one whose time was long ago
 * runs once, as after any outage. Neutralized stays neutralized: a copy for tests is restored as one.
 */
function statementsOf({ baseUrl, uuid }: Pick<Wanted, 'baseUrl' | 'uuid'>): string[] {
  const set = (key: string, value: string) =>
    `(${quoteLiteral(key)}, ${quoteLiteral(value)}, 1, 1, ${nowUtc}, ${nowUtc})`;
  const values = [
    set('web.base.url', baseUrl),
    set('web.base.url.freeze', 'True'),
    ...(uuid === undefined ? [] : [set('database.uuid', uuid)]),
  ];
  return [
    `INSERT INTO public.ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)
     VALUES ${values.join(', ')} ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date`,
    ...moduleStatements,
  ];
}

/** As `setBaseUrl`: the fence is held in the control database, and the session that holds it is alive at the commit. */
async function putRight(access: ServerAccess, fenced: Fenced, wanted: Wanted): Promise<void> {
  const { database, user, password } = wanted.session;
  const doing = 'put the loaded database right';
  const to = {
    database: checkLoadName(database),
    applicationName: fencedApplicationName(fenced),
    tenant: { role: user, password },
  };
  await withFence(access, fenced, { doing }, (control) =>
    access.unpooled(doing, to, async (inside) => {
      const { rows } = await inside.query<{ isOdoo: boolean }>(
        `SELECT to_regclass('public.ir_config_parameter') IS NOT NULL
           AND to_regclass('public.ir_module_module') IS NOT NULL AS "isOdoo"`,
      );
      if (rows[0]?.isOdoo !== true) return;
      // The customer's own triggers expect Odoo's path. They have no more rights than the role of the load.
      await batch(inside, ['BEGIN', 'SET LOCAL search_path = public', ...statementsOf(wanted)]);
      await control.query('SELECT 1');
      await commit(inside);
    }),
  );
}
