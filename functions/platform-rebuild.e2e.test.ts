import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runPlatform } from '#scripts/fleet/platform/main.ts';
import { quoteIdentifier } from '#shared/adapters/odoo-server/quote.ts';
import { backupFolderOf } from '#shared/sandbox/fleet/backups.ts';
import { platform } from '#shared/sandbox/fleet/databases.ts';
import { nothingGoesOn } from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { carryOut, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  hasVerificationServer: true,
  functionSettings: { VERIFY_BOOT_PERCENT: '0' },
});

/** The platform's own commands, as an operator beside the fleet gives them. */
async function operator<Said>(args: readonly string[], changes: Record<string, string> = {}): Promise<Said> {
  const { folder, servers, kubeconfigFile } = fleet();
  const out: string[] = [];
  const errors: string[] = [];
  const secrets = join(folder, 'secrets');
  const env = {
    PLATFORM_POSTGRES_DIRECT_HOST: servers.platform.host,
    PLATFORM_POSTGRES_DIRECT_PORT: String(servers.platform.port),
    PLATFORM_POSTGRES_PASSWORD_FILE: join(secrets, 'platform-postgres'),
    ODOO_POSTGRES_PASSWORDS_DIR: join(secrets, 'db-servers'),
    BACKUP_STORE: backupFolderOf(folder),
    BACKUP_KEYS_FILE: join(secrets, 'backup-keys'),
    KUBECONFIG: kubeconfigFile,
    ...changes,
  };
  const screen = { print: (line: string) => void out.push(line), printError: (line: string) => void errors.push(line) };
  const code = await runPlatform([...args, '--json'], env, screen);
  if (code !== 0) throw new Error(`platform ${args.join(' ')}: ${errors.join('\n')}`);
  return JSON.parse(out.join('\n')) as Said;
}

/** What the records say that must be right again. Times of tombstones and generations are the rebuild's own. */
async function recordsSay() {
  const instances = await fleet().rows<{ id: string; name: string; status: string }>(
    `select id, customer_id, name, host, cluster_id, plan_id, image_id, db_server_id, modules, settings, admin_login, language,
       desired_state, desired_before, status, restarted_by, purged_at is not null as is_purged,
       terminated_at is not null as is_terminated, observed_generation = generation as is_settled,
       array(select reason from suspensions s where s.instance_id = i.id and closed_at is null) as suspensions
     from instances i order by id`,
  );
  const backups = await fleet().rows<{ id: string; state: string; proof: string }>(
    `select id, instance_id, customer_id, kind, state, round, server_id, dump_key, manifest_key, manifest_sha256, snapshot_at,
       summary, dump_bytes, files_bytes, files_count, previous_id, proof from backups order by id`,
  );
  const keys = await fleet().rows('select instance_id, files_key from instance_keys order by instance_id');
  const servers = await fleet().rows('select id, instance_count from db_servers order by id');
  return { instances, backups, keys, servers };
}

const fencesOf = async () =>
  new Map(
    (
      await queryAsSuperuser<{ id: string; n: number }>(
        fleet().servers.odoo,
        'select instance_id as id, n::integer as n from fence',
        { database: 'fleet_control' },
      )
    ).map(({ id, n }) => [id, n]),
  );

const publishedEvents = () =>
  fleet().rows<{ id: string; at: Date }>(
    'select id, published_at as at from outbox where published_at is not null order by sequence',
  );

/** The disaster: the database is gone, and an empty one is in its place, while functions and ticks go on asking. */
async function loseRecords(): Promise<void> {
  const name = quoteIdentifier(platform.database);
  await asSuperuser(fleet().servers.platform, async (client) => {
    await client.query(`alter database ${name} allow_connections false`);
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
      platform.database,
    ]);
    await client.query(`drop database ${name} with (force)`);
    await client.query(`create database ${name} owner ${quoteIdentifier(platform.user)}`);
  });
}

/** Every shard is compared with the world once more. */
async function reconcile(): Promise<void> {
  const [now] = await fleet().rows<{ at: Date }>('select clock_timestamp() as at');
  await fleet().rows(`update reconcile_shards set due_at = clock_timestamp() returning shard`);
  const late = 'select shard from reconcile_shards where passed_at is null or passed_at < $1';
  await until('all shards to be compared', async () => (await fleet().rows(late, [now?.at])).length === 0);
}

type Rebuilt = {
  entered: { instanceId: string }[];
  corrected: { instanceId: string }[];
  waiting: { sentAgain: unknown[]; cancelled: unknown[] };
  reports: string[];
};

test('from an older backup of its records and what the world says, the platform’s records are right again', {
  timeout: 600_000,
}, async () => {
  const made = async (name: string, kind?: 'suspend' | 'terminate' | 'stop', data: Record<string, unknown> = {}) => {
    const id = await runningInstance(fleet(), name);
    if (kind !== undefined) await carryOut(fleet(), kind, id, data);
    return id;
  };
  const billing = { cause: 'billing' };
  const stays = await made('stays');
  const purged = await made('purged', 'terminate');
  const undone = await made('undone', 'terminate');
  const resumed = await made('resumed', 'suspend', billing);
  const started = await made('started', 'stop');
  const [suspended, stopped, terminated] = [await made('suspended'), await made('stopped'), await made('terminated')];
  await carryOut(fleet(), 'backup', stays);

  // an event that is published while the backup is made is sent again after it
  await nothingGoesOn(fleet());
  await operator(['backup']);
  const before = await recordsSay();
  const published = await publishedEvents();

  // what only the world will know of
  const late = await made('late');
  const brief = await made('brief', 'terminate');
  await carryOut(fleet(), 'suspend', suspended, billing);
  await carryOut(fleet(), 'resume', resumed, billing);
  await carryOut(fleet(), 'stop', stopped);
  await carryOut(fleet(), 'start', started);
  await carryOut(fleet(), 'terminate', terminated);
  await carryOut(fleet(), 'undo', undone);
  await carryOut(fleet(), 'backup', purged, { kind: 'final' });
  await fleet().rows(`update instances set purge_after = now() - interval '1 second' where id = $1 returning id`, [
    purged,
  ]);
  await carryOut(fleet(), 'purge', purged, { withoutbackup: true });
  await carryOut(fleet(), 'restart', stays);
  await carryOut(fleet(), 'backup', stays);
  await carryOut(fleet(), 'verify', stays);
  await carryOut(fleet(), 'backup', late);
  await nothingGoesOn(fleet());
  const truth = await recordsSay();
  const fences = await fencesOf();
  expect(truth).not.toEqual(before);

  await loseRecords();
  await operator(['restore']);
  await expect(fleet().records.query('delete from leases')).rejects.toThrow();
  const otherStore = { BACKUP_STORE: await mkdtemp(join(fleet().folder, 'other-store-')) };
  await expect(operator(['rebuild'], otherStore)).rejects.toThrow(/names another place/);
  const trial = await operator<Rebuilt>(['rebuild', '--trial']);
  const rebuilt = await operator<Rebuilt>(['rebuild']);
  expect(rebuilt.reports).toEqual(trial.reports);
  expect(rebuilt.reports).toEqual([]);
  expect(new Set(rebuilt.entered.map(({ instanceId }) => instanceId))).toEqual(new Set([late, brief]));
  expect(rebuilt.corrected.map(({ instanceId }) => instanceId).sort()).toEqual(
    [stays, suspended, resumed, stopped, started, terminated, undone, purged].sort(),
  );
  await expect(operator(['rebuild'])).rejects.toThrow(/takes writes/);
  // PgBouncer, whose login failed while the database was away, tries none for 15 s (its server_login_retry)
  const answers = () =>
    fleet()
      .rows('select 1 as one')
      .then(Boolean, () => false);
  await until('PgBouncer to reach the records', answers);
  expect(await recordsSay()).toEqual(truth);
  expect(rebuilt.waiting).toMatchObject({ sentAgain: [], cancelled: [] });

  await reconcile();
  const found = await fleet().rows('select kind, subject, detail from findings where resolved_at is null');
  expect(found).toEqual([]);
  expect(await recordsSay()).toEqual(truth);
  // what was sent before the backup was made is not sent again
  expect(await publishedEvents()).toEqual(expect.arrayContaining(published));
  await Promise.all(['stays', 'late', 'resumed', 'started', 'undone'].map((name) => pageAnswers(fleet(), name, 200)));

  // no fence that any store has seen is given again
  for (const id of [stays, late, suspended]) await carryOut(fleet(), 'restart', id).catch(() => undefined);
  const after = await fencesOf();
  for (const [id, n] of fences) expect(after.get(id) ?? 0, id).toBeGreaterThanOrEqual(n);
  for (const id of [stays, late]) expect(after.get(id)).toBeGreaterThan(fences.get(id) ?? 0);
  // and life goes on
  expect(await carryOut(fleet(), 'undo', brief)).toMatchObject({ status: 'running' });
  expect(await carryOut(fleet(), 'resume', suspended, billing)).toMatchObject({ status: 'running' });
});
