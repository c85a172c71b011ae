import type { ClientBase } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import {
  type Catalogue,
  type CatalogueRow,
  catalogueOf,
  catalogueQuery,
} from '#shared/domain/odoo/neutral-catalogue.ts';
import { dangerChecks, missingTables, neutralizingStatements } from '#shared/domain/odoo/neutralization.ts';
import { inTransaction } from './transaction.ts';

/** What is read and changed is the tenant's, code of his included: a policy of his that would hide rows is an error. */
const safely = [
  // his triggers find his tables
  'SET LOCAL search_path = pg_catalog, public',
  'SET LOCAL row_security = off',
];

/**
 * Before the last look: triggers that wait for the commit fire now, so that it sees what they do; and no function of the
 * tenant's is found any more, which an exact type would make PostgreSQL prefer to its own. All names are qualified.
 */
const beforeLooking = 'SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL search_path = pg_catalog';

const applicationName = 'fleet neutralize';

/**
 * Takes from a copy of an Odoo database whatever it could act on the world with, and looks that nothing of it is left: one
 * transaction, all or nothing, and a last look after it. Repeatable. Connect as the role that owns the tables, which is nobody else's and no
 * superuser; never as the admin. How long a statement may take is the session's to say: one may read the largest table
 * there is, so that a Job is the place for this.
 * @param further statements before the last look, in the same transaction.
 * @throws Failure `not-allowed`, naming what is left: then nobody may be let in.
 */
export async function neutralizeDatabase(client: ClientBase, further: readonly string[] = []): Promise<void> {
  await inTransaction(client, { applicationName, first: safely }, async () => {
    const catalogue = await readCatalogue(client);
    for (const statement of neutralizingStatements(catalogue)) await client.query(statement);
    for (const statement of further) await client.query(statement);
    refuse(await find(client, catalogue));
  });
  // Once more when nothing is left that could fire: a trigger may put off another one until the commit.
  refuse(await findDangers(client));
}

function refuse(left: readonly string[]): void {
  if (left.length === 0) return;
  throw new Failure(
    'not-allowed',
    `The copy is not neutral: ${left.slice(0, 5).join('; ')}. Nobody may connect to it.`,
  );
}

/** What of the database could act on the world, in words; empty when it is neutral. Changes nothing. */
export async function findDangers(client: ClientBase): Promise<string[]> {
  const first = ['SET TRANSACTION READ ONLY', ...safely];
  return await inTransaction(client, { applicationName, first }, async () => find(client, await readCatalogue(client)));
}

async function readCatalogue(client: ClientBase): Promise<Catalogue> {
  const catalogue = catalogueOf((await client.query<CatalogueRow>(catalogueQuery)).rows);
  const missing = missingTables(catalogue);
  if (missing.length === 0) return catalogue;
  throw new Failure(
    'not-allowed',
    `The copy is no Odoo's: it has no table ${missing.join(', ')}. Nobody may connect to it.`,
  );
}

async function find(client: ClientBase, catalogue: Catalogue): Promise<string[]> {
  await client.query(beforeLooking);
  const left: string[] = [];
  for (const { what, query } of dangerChecks(catalogue)) {
    const count: unknown = (await client.query<{ count: unknown }>(query)).rows[0]?.count;
    if (count !== 0) left.push(`${what} (${String(count)})`);
  }
  return left;
}
