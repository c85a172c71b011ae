import type { Client } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { findTenantDatabase } from './databases.ts';
import { saysTenantIsFull } from './errors.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { nowUtc } from './identity.ts';
import { tenantNames } from './object-names.ts';
import { quoteLiteral } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, commit } from './transaction.ts';

/**
 * A session as the tenant in his own database. Whatever he made of his tables, views, rules and triggers runs with his
 * rights there, and for 5 s at most.
 */
function asTenant<T>(
  access: ServerAccess,
  instanceId: string,
  options: { doing: string; password: string; applicationName?: string },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { database, role } = tenantNames(instanceId);
  const { doing, password, ...named } = options;
  return access.unpooled(doing, { database, tenant: { role, password }, ...named }, work);
}

const hasCode = (error: unknown, code: string): error is Failure => error instanceof Failure && error.code === code;

export async function mayLogIn(access: ServerAccess, instanceId: string, password: string): Promise<boolean> {
  try {
    await asTenant(access, instanceId, { doing: 'log in as the tenant', password }, async () => undefined);
    return true;
  } catch (error) {
    if (hasCode(error, 'not-allowed') || hasCode(error, 'not-found')) return false;
    // the limit is looked at after the password and the right to log in
    if (error instanceof Failure && saysTenantIsFull(error)) return true;
    throw error;
  }
}

/**
 * Odoo holds a lock on a scheduled action's row while it runs, in a transaction apart from its work. FOR SHARE meets
 * that lock (FOR NO KEY UPDATE since 16, FOR UPDATE before). It is held for this statement only, and Odoo passes over
 * a row it finds locked and comes back to it.
 */
const countBusyCrons = `SELECT (SELECT count(*) FROM public.ir_cron)::int
  - (SELECT count(*) FROM (SELECT FROM public.ir_cron FOR SHARE SKIP LOCKED) AS free)::int AS busy`;

export async function busyCrons(access: ServerAccess, instanceId: string, password: string): Promise<number> {
  const doing = 'count the scheduled actions at work';
  const busy = await readAsTenant(access, instanceId, { doing, password }, async (client) => {
    const { rows } = await client.query<{ busy: number }>(countBusyCrons);
    return rows[0]?.busy;
  });
  return busy ?? 0;
}

export async function hasBaseUrl(
  access: ServerAccess,
  instanceId: string,
  options: { password: string; baseUrl: string },
): Promise<boolean> {
  const { password, baseUrl } = options;
  const isThere = await readAsTenant(access, instanceId, { doing: 'read web.base.url', password }, async (client) => {
    const found = await client.query(
      "SELECT FROM public.ir_config_parameter WHERE key = 'web.base.url' AND value = $1",
      [baseUrl],
    );
    return found.rowCount === 1;
  });
  return isThere ?? false;
}

/** Undefined when there is no database, or no Odoo in it. Looked at first: without one there may be no role either. */
async function readAsTenant<T>(
  access: ServerAccess,
  instanceId: string,
  options: { doing: string; password: string },
  read: (client: Client) => Promise<T>,
): Promise<T | undefined> {
  const found = await access.control(options.doing, (client) => findTenantDatabase(client, instanceId));
  if (found === undefined) return undefined;
  try {
    return await asTenant(access, instanceId, options, read);
  } catch (error) {
    if (hasCode(error, 'not-found')) return undefined;
    throw error;
  }
}

/**
 * As `personalise` does, and for its reasons: the fence is held in the control database, the work is done inside, the
 * session that holds the fence is asked for a sign of life, and the work is committed before it. An Odoo that is up
 * keeps the old value in its memory until it is restarted.
 * @throws Failure `not-found` when there is no database, or no Odoo in it.
 */
export async function setBaseUrl(
  access: ServerAccess,
  fenced: Fenced,
  options: { password: string; baseUrl: string },
): Promise<void> {
  const doing = 'write web.base.url';
  const session = { doing, password: options.password, applicationName: fencedApplicationName(fenced) };
  await withFence(access, fenced, { doing }, async (control) => {
    if ((await findTenantDatabase(control, fenced.instanceId)) === undefined) {
      throw new Failure('not-found', `There is no database ${tenantNames(fenced.instanceId).database}`);
    }
    await asTenant(access, fenced.instanceId, session, async (inside) => {
      await batch(inside, [
        'BEGIN',
        `INSERT INTO public.ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)
         VALUES ('web.base.url', ${quoteLiteral(options.baseUrl)}, 1, 1, ${nowUtc}, ${nowUtc})
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date`,
      ]);
      await control.query('SELECT 1');
      await commit(inside);
    });
  });
}
