import type { Client } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { findTenantDatabase } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { identityStatements, nowUtc } from './identity.ts';
import { personalisedMark, templateObjectsRole, tenantNames } from './object-names.ts';
import { closeToPublic, grantOwnership, openToTenant } from './ownership.ts';
import { hashOdooPassword } from './password-hash.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { isPlainTable } from './tenant-schema.ts';
import { batch, commit } from './transaction.ts';

/** Odoo's administrator: `base.user_admin`, always the second user. */
const adminUserId = 2;

export type Personal = { instance: Instance; adminPassword: string; baseUrl: string };

/**
 * Gives the database to its tenant: one transaction inside it, all or nothing, the mark included. Roles, database
 * owner, grants and comments are shared catalogues, so they belong to that transaction as well.
 *
 * The fence lies in another database. The order is:
 * 1. a transaction in the control database checks the fence and holds its row;
 * 2. the session inside the tenant's database is opened, under a name that carries the fence, and does its work;
 * 3. the first session is asked for a sign of life;
 * 4. the work is committed, and after it the first transaction.
 * A newer holder either waits at the row until 4 is over, or terminates the first session and then every one inside
 * that it finds. A session opened after that search finds the first one dead in 3 and never commits. A session
 * terminated between 3 and 4 has either committed before the newer holder began, or never will.
 */
export async function personalise(access: ServerAccess, fenced: Fenced, personal: Personal): Promise<void> {
  const { database } = tenantNames(fenced.instanceId);
  // 20 ms on another core while the sessions are opened; awaited below, so a rejection must not go unheard before
  const passwordHash = hashOdooPassword(personal.adminPassword);
  passwordHash.catch(() => undefined);
  await withFence(access, fenced, { doing: 'personalise the database' }, async (control) => {
    const found = await findTenantDatabase(control, fenced.instanceId);
    if (found === undefined) {
      throw new Failure('conflict', `There is no database ${database} to personalise; create it first`);
    }
    // the tenant has been in there since: a second time would lock him out of his own administrator
    if (found.mark === personalisedMark(fenced.instanceId)) return await grantOwnership(control, fenced.instanceId);
    const to = { database, applicationName: fencedApplicationName(fenced) };
    await access.unpooled('personalise the database', to, async (inside) => {
      const facts = await lookBefore(inside, database);
      const statements = [
        'BEGIN',
        // One wait for the disk instead of two: the control transaction, which writes the fence's row, commits after
        // this one, and its flush of the server's one write-ahead log covers both.
        'SET LOCAL synchronous_commit = off',
        ...ownershipStatements(fenced.instanceId),
        ...identityStatements(personal.baseUrl),
        attachmentStatement,
        ...administratorStatements(personal, { ...facts, passwordHash: await passwordHash }),
        `COMMENT ON DATABASE ${quoteIdentifier(database)} IS ${quoteLiteral(personalisedMark(fenced.instanceId))}`,
      ];
      const results = await batch(inside, statements);
      checkAdministrator(results.filter((result) => result.command === 'UPDATE').map((result) => result.rowCount));
      await control.query('SELECT 1');
      await commit(inside);
    });
  });
}

type Facts = { hasNormalizedEmail: boolean; hasLanguages: boolean };

async function lookBefore(inside: Client, database: string): Promise<Facts> {
  const tables = ['ir_module_module', 'ir_config_parameter', 'res_users', 'res_partner'];
  const { rows } = await inside.query<Facts & { isPlain: boolean }>(
    `SELECT ${tables.map((table) => isPlainTable(`public.${table}`)).join(' AND ')} AS "isPlain",
       EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('public.res_partner')
               AND attname = 'email_normalized' AND NOT attisdropped) AS "hasNormalizedEmail",
       coalesce(${isPlainTable('public.res_lang')}, false) AS "hasLanguages"`,
  );
  if (rows[0]?.isPlain !== true) {
    throw new Failure('foreign-object', `Database ${database} has not the plain tables of a fresh Odoo; look into it`);
  }
  return rows[0];
}

/** The schema goes first: who gets a function must already have the right to create in its schema. */
function ownershipStatements(instanceId: string): string[] {
  const { database, role, ownerRole } = tenantNames(instanceId);
  return [
    ...closeToPublic(database),
    `ALTER SCHEMA public OWNER TO ${quoteIdentifier(role)}`,
    `REASSIGN OWNED BY ${quoteIdentifier(templateObjectsRole)} TO ${quoteIdentifier(role)}`,
    ...openToTenant(database, { role, ownerRole }),
  ];
}

/** Without `ir_attachment.location` new attachments go to files; those of the template stay in the database. */
const attachmentStatement = "DELETE FROM ONLY public.ir_config_parameter WHERE key = 'ir_attachment.location'";

function administratorStatements(personal: Personal, to: Facts & { passwordHash: string }): string[] {
  const login = quoteLiteral(personal.instance.adminLogin);
  const normalized = to.hasNormalizedEmail ? `, email_normalized = lower(${login})` : '';
  const chosen = `SELECT code FROM ONLY public.res_lang WHERE active AND code = ${quoteLiteral(personal.instance.language)}`;
  // A language that the build did not load stays what it is: Odoo fails on one that is not active.
  const language = to.hasLanguages ? `, lang = coalesce((${chosen}), lang)` : '';
  return [
    `UPDATE ONLY public.res_users SET login = ${login}, password = ${quoteLiteral(to.passwordHash)},
       active = true, write_date = ${nowUtc} WHERE id = ${adminUserId}`,
    `UPDATE ONLY public.res_partner SET email = ${login}${normalized}${language}, write_date = ${nowUtc}
     WHERE id = (SELECT partner_id FROM ONLY public.res_users WHERE id = ${adminUserId})`,
  ];
}

function checkAdministrator(updated: readonly (number | null)[]): void {
  if (updated.length === 2 && updated.every((count) => count === 1)) return;
  throw new Failure('misconfigured', `The database has no administrator (user ${adminUserId} with a partner)`);
}
