import type { Client } from 'pg';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { openOdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { knownMigrations } from '#shared/adapters/postgres/known-migrations.ts';
import { Failure } from '#shared/domain/failure.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import { openBackupStore } from '#shared/runtime/backup-store.ts';
import { type Config, defineConfig } from '#shared/runtime/config.ts';
import { odooAdminPasswords } from '#shared/runtime/odoo-passwords.ts';
import { instanceDefaults, odooServers, tenantCluster } from '#shared/runtime/rows.ts';
import { tenantClusterOptions } from '#shared/runtime/tenant-cluster-options.ts';
import { withSession } from '#shared/worker/session.ts';
import type { Done, Surroundings } from '../commands.ts';
import { restoredAction, setClosed, writing } from '../restore.ts';
import { directAccess, platformRows } from '../settings.ts';
import { type Rebuilt, rebuild, type World } from './rebuild.ts';

const { clusterId } = instanceDefaults;
export const rebuildRows = defineConfig({ ...platformRows, ...odooServers, ...tenantCluster, clusterId });
type RebuildConfig = Config<typeof rebuildRows>;

/** One rebuild at a time. */
const lock = 0x72656275;

/**
 * Puts the restored records right, and lets functions write into them when nothing is left to look at, or when `opens` says so.
 * `isTrial`: only says what it would do.
 */
export async function runRebuild(
  config: RebuildConfig,
  { signal }: Surroundings,
  options: { isTrial: boolean; opens: boolean; forgetsMissing: boolean },
): Promise<Done> {
  const { isTrial, opens, forgetsMissing } = options;
  const servers = openOdooServers({ adminPassword: odooAdminPasswords(config), applicationName: 'fleet rebuild' });
  const tenants = openTenantCluster(tenantClusterOptions(config));
  const world: World = {
    cluster: () => tenants.holdings(),
    server: (server) => servers.holdings(server),
    store: config.backupStore === undefined ? undefined : openBackupStore({ ...config, workerImage: undefined }),
    keys: openBackupKeys(config),
  };
  try {
    const rebuilt = await withSession(directAccess(config), signal, async (client) => {
      await client.query(`${writing}; set search_path to public`);
      await refuseOpen(client);
      await refuseOldSchema(client);
      const snapshotAt = await restoredFrom(client);
      const result = await inTransaction(client, { isTrial }, (transaction) =>
        rebuild(transaction, world, { snapshotAt, clusterId: config.clusterId, forgetsMissing }),
      );
      const isOpen = !isTrial && (opens || result.reports.length === 0);
      if (isOpen) await setClosed(client, { database: config.database, isClosed: false });
      return { ...result, isTrial, isOpen };
    });
    return { json: rebuilt, lines: linesOf(rebuilt) };
  } finally {
    await tenants.close();
    await servers.end();
  }
}

async function inTransaction<Result>(
  client: Client,
  { isTrial }: { isTrial: boolean },
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  const transaction: Queryable = {
    async query<Row extends object>(text: string, values: readonly unknown[] = []) {
      const { rows, rowCount } = await client.query<Row>(text, [...values]);
      return { rows, rowCount: rowCount ?? 0 };
    },
  };
  await client.query('begin');
  try {
    await client.query(`select pg_advisory_xact_lock(${lock})`);
    const result = await work(transaction);
    await client.query(isTrial ? 'rollback' : 'commit');
    return result;
  } catch (error) {
    // a session that is gone has rolled back
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Into an open database functions write: what they did a second ago would be taken for older than the world. */
async function refuseOpen(client: Client): Promise<void> {
  const { rowCount } = await client.query(
    `select from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
     where d.datname = current_database() and s.setrole = 0 and 'default_transaction_read_only=on' = any(s.setconfig)`,
  );
  if (rowCount !== 0) return;
  throw new Failure(
    'not-allowed',
    'This database takes writes: only one that "platform restore" has restored, and nobody has opened since, is rebuilt.',
  );
}

async function refuseOldSchema(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>('select name from schema_migrations');
  const applied = new Set(rows.map(({ name }) => name));
  const lacking = (await knownMigrations()).filter((name) => !applied.has(name));
  if (lacking.length === 0) return;
  throw new Failure(
    'not-allowed',
    `The restored tables lack ${lacking.length} migrations. Run PGOPTIONS='-c default_transaction_read_only=off' npm run migrate ` +
      'first, and then this again.',
  );
}

/** @throws Failure `not-allowed`: what was not restored from a backup is not older than the world. */
async function restoredFrom(client: Client): Promise<Date> {
  const { rows } = await client.query<{ at: string }>(
    `select detail ->> 'snapshotAt' as at from audit where action = $1 order by sequence desc limit 1`,
    [restoredAction],
  );
  const at = rows[0]?.at;
  if (at !== undefined) return new Date(at);
  throw new Failure(
    'not-allowed',
    'These records were not restored by "platform restore": there is nothing to rebuild.',
  );
}

function linesOf(rebuilt: Rebuilt & { isTrial: boolean; isOpen: boolean }): string[] {
  const { corrected, entered, backups, waiting, reports, fencesRaised, snapshotAt, isTrial, isOpen } = rebuilt;
  const again = waiting.sentAgain.map(({ id, type }) => `  ${type} ${id}`);
  const { missing, forgotten } = backups;
  const closed = isTrial
    ? 'Nothing was written.'
    : 'The database takes no writes yet: mend what is to be looked at and rebuild again, or say "platform rebuild --open".';
  return [
    `The records were those of ${snapshotAt.toISOString()}.`,
    ...corrected.map(({ why }) => why),
    ...entered.map(({ why }) => why),
    `Backups: ${backups.entered.length} entered, ${backups.proven} proven, ${backups.refuted} refuted, ` +
      `${forgotten ? missing.length : 0} forgotten.`,
    `Fences raised: ${fencesRaised}.`,
    `Events that waited: ${waiting.notSent} are not sent (they were when the backup was made, or the tick gives them anew); ` +
      `${again.length} are, each under its old id, perhaps for the second time${again.length === 0 ? '.' : ':'}`,
    ...again,
    `Billing: ${waiting.billingHeld} decisions are held for a day. Have billing and user services send again what they sent since ` +
      `${snapshotAt.toISOString()}.`,
    ...reports.map((report) => `LOOK: ${report}`),
    isOpen ? 'The database takes writes again.' : closed,
  ];
}
