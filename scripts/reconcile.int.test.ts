import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import {
  buildTemplate,
  fencedBy,
  personalOf,
  someTemplate,
  startTestServer,
  type TestServer,
  tenantPassword,
} from '#shared/adapters/odoo-server/odoo-server.fixture.ts';
import { upsertDatabaseServer } from '#shared/adapters/postgres/database-servers.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { clusterParts } from '#shared/domain/instance/ports.ts';
import type { Plan } from '#shared/runtime/reconcile/plan.ts';
import { startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { runReconcile } from './reconcile.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
const ids = [testInstanceId(1), testInstanceId(2)] as const;
let folder: string;
let on: TestServer;
let cluster: Awaited<ReturnType<typeof startKubernetesApi>>;
let raw: ReturnType<typeof openKubernetesApi>;
let writes: string[] = [];

/** An instance as its provisioning leaves it: row, database, objects. */
async function provision(id: string, template: ReturnType<typeof someTemplate>): Promise<void> {
  await insertTestInstance(records(), id);
  await records().query(
    `update instances set observed_generation = 1, status = 'running', db_server_id = $2 where id = $1`,
    [id, on.server.id],
  );
  await records().query('update db_servers set instance_count = instance_count + 1 where id = $1', [on.server.id]);
  const { instance } = await readInstance(records(), id);
  await provisionDatabase(instance, template);
  const options = {
    kubeconfigFile: cluster.kubeconfigFile,
    namespace: 'odoo-tenants',
    // as the program's settings make them
    clientNamespaces: ['ingress-nginx', 'odoo-fleet'].map((name) => ({ 'kubernetes.io/metadata.name': name })),
  };
  const tenants = openTenantCluster(options);
  const credentials = { databasePassword: tenantPassword, adminPassword: 'of-admin', masterPassword: 'of-master' };
  const wanted = { operationId: 'o-1', fence: 1, databaseServer: on.server, credentials };
  await tenants.credentials.create(instance, credentials, fencedBy(instance, 1));
  for (const part of clusterParts) await tenants.cluster.apply(instance, part, wanted);
  await tenants.close();
}

async function provisionDatabase(instance: Instance, template: ReturnType<typeof someTemplate>): Promise<void> {
  const { databases } = on.open();
  const fenced = fencedBy(instance, 1);
  await databases.takeOver(on.server, fenced);
  const connectionLimit = instance.plan.databaseConnections;
  await databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit });
  await databases.cloneTemplate(on.server, fenced, template);
  await databases.personalise(on.server, fenced, personalOf(instance));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reconcile-plan-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  on = await startTestServer('system');
  await mkdir(join(folder, 'keys'));
  await writeFile(join(folder, 'keys', on.server.secretKey), on.adminPassword, { mode: 0o600 });
  cluster = await startKubernetesApi({
    folder,
    intercept: ({ method, path }) => {
      if (method !== 'GET') writes.push(`${method} ${path}`);
      return undefined;
    },
  });
  raw = openKubernetesApi({ kubeconfigFile: cluster.kubeconfigFile });
  await insertCatalogue(records());
  await upsertDatabaseServer(records(), on.server);
  await records().query('update db_servers set reached_at = now()');
  const template = someTemplate();
  await buildTemplate(on, on.open(), template);
  for (const id of ids) await provision(id, template);
});
beforeEach(() => {
  writes = [];
});
afterAll(async () => {
  await raw.close();
  await cluster.stop();
  await on.stop();
  await rm(folder, { recursive: true });
});

async function reconcile(...args: string[]) {
  const env = {
    ...platformSettings(made(), join(folder, 'password')),
    ODOO_POSTGRES_PASSWORDS_DIR: join(folder, 'keys'),
    KUBECONFIG: cluster.kubeconfigFile,
  };
  const out: string[] = [];
  const errors: string[] = [];
  const code = await runReconcile(args, env, {
    print: (line) => out.push(line),
    printError: (line) => errors.push(line),
  });
  return { code, out: out.join('\n'), errors: errors.join('\n') };
}

/** Everything the platform's database holds, as text. */
async function contents(): Promise<string> {
  const { rows } = await records().query<{ name: string }>(
    `select table_name::text as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`,
  );
  const texts = rows.map(async ({ name }) => {
    const table = await records().query<{ row: string }>(
      `select t.xmin || ' ' || t::text as row from "${name}" t order by 1`,
    );
    return `${name}: ${table.rows.map(({ row }) => row).join(', ')}`;
  });
  return (await Promise.all(texts)).join('\n');
}

const catalogueOf = () => on.query(`SELECT datname, datdba, datacl::text, datallowconn FROM pg_database ORDER BY 1`);

test('a fleet as it should be has nothing to do', async () => {
  expect(await reconcile('--plan')).toEqual({
    code: 0,
    out: '2 instances compared. Nothing drifted.',
    errors: '',
  });
});

describe('what drifted', () => {
  beforeAll(async () => {
    const [first, second] = ids;
    await raw.send({
      method: 'DELETE',
      kind: kinds.deployment,
      namespace: 'odoo-tenants',
      name: `odoo-${first}`,
      body: {},
    });
    await on.query(`GRANT CONNECT ON DATABASE odoo_${first} TO PUBLIC`);
    await on.query(`ALTER DATABASE odoo_${second} RENAME TO lost`);
    await on.query(`CREATE DATABASE odoo_${testInstanceId(9)} OWNER fleet_admin`);
    await records().query('update db_servers set instance_count = 7');
  });

  test('is printed with what would be done about it, and nothing is changed by that', async () => {
    const before = [await contents(), await catalogueOf()];
    const { code, out, errors } = await reconcile('--plan');
    expect([code, errors]).toEqual([1, '']);
    const table = out
      .split('\n\n')[0]
      ?.split('\n')
      .map((line) => line.split(/ {2,}/).slice(0, 4));
    expect(table).toEqual([
      ['severity', 'kind', 'subject', 'would do'],
      ['alarm', 'database-missing', ids[1], 'report'],
      ['alarm', 'database-open-to-public', ids[0], 'ask for a repair'],
      ['alarm', 'deployment-missing', ids[0], 'ask for a repair'],
      [
        'warning',
        'orphan-database',
        `database odoo_${testInstanceId(9)} on server ${on.server.id}`,
        'report; quarantine after 7 days',
      ],
      ['warning', 'server-count-wrong', `server ${on.server.id}`, 'put the count right'],
    ]);
    expect(out).toContain('It is never made anew.');
    expect([await contents(), await catalogueOf()]).toEqual(before);
    expect(writes).toEqual([]);
  });

  test('is given as one document, and only of the shards that are asked for', async () => {
    const { code, out } = await reconcile('--plan', '--json', '--shard', 'a');
    const { drifts, instances } = JSON.parse(out) as Plan;
    expect([code, instances]).toEqual([1, 2]);
    expect(drifts.map(({ kind }) => kind).sort()).toEqual([
      'database-missing',
      'database-open-to-public',
      'deployment-missing',
      'orphan-database',
    ]);
    expect((await reconcile('--plan', '--shard', 'b')).code).toBe(0);
  });

  test('is not known where nothing could be read', async () => {
    await records().query(`update db_servers set status = 'error'`);
    try {
      const { code, out } = await reconcile('--plan', '--shard', 'b');
      expect(code).toBe(2);
      expect(out).toContain(`Could not be read: server ${on.server.id}.`);
    } finally {
      await records().query(`update db_servers set status = 'active'`);
    }
  });
});

test.each([
  [[], 'Say --plan'],
  [['--plan', '--shard', 'A'], '--shard takes one character'],
  [['--plan', '--now'], 'Unknown option'],
])('called with %j says what is wrong', async (args, reason) => {
  const { code, errors } = await reconcile(...args);
  expect(code).toBe(2);
  expect(errors).toContain(reason);
});

test('says what it takes', async () => {
  const { code, out } = await reconcile('--help');
  expect(code).toBe(0);
  expect(out).toContain('PLATFORM_POSTGRES_HOST');
});
