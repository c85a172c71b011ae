import { parseArgs } from 'node:util';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { openOdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { defineConfig, type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { odooAdminPasswords } from '#shared/runtime/odoo-passwords.ts';
import { openPlatformDatabase } from '#shared/runtime/platform-database.ts';
import { type Plan, planOf, shards } from '#shared/runtime/reconcile/plan.ts';
import { instanceDefaults, odooServers, platformDatabase, reconciling, tenantCluster } from '#shared/runtime/rows.ts';
import { tenantClusterOptions } from '#shared/runtime/tenant-cluster-options.ts';

const { clusterId } = instanceDefaults;
const { orphanQuarantineDays, purgeAfterWindow } = reconciling;
const rows = defineConfig({
  ...platformDatabase,
  ...odooServers,
  ...tenantCluster,
  clusterId,
  orphanQuarantineDays,
  purgeAfterWindow,
});

const help = `Usage: node scripts/reconcile.ts --plan [options]

Compares the cluster and the database servers with the records and prints what the next passes would do. It changes
nothing: the platform's database refuses its writes, and of the other places it only reads. Warm databases are left out.

  --plan          required: there is no way to carry it out but the tick
  --shard SHARD   only a part: the first character of an instance's id (a-z, 2-7), or "fleet"; may be given several times
  --json          one JSON document: {"drifts": [...], "blind": [...], "instances": n}
  --help          this text

Exit code: 0 nothing drifted, 1 something has, 2 called wrongly, or a place could not be read and nothing else was found.

Settings, from the environment, the same as those of the functions:
${helpOf(rows)}`;

type Screen = { print(line: string): void; printError(line: string): void };
type Options = { shards: readonly string[]; json: boolean };

/** The program. Returns its exit code, see the usage. */
export async function runReconcile(args: readonly string[], env: Environment, screen: Screen): Promise<0 | 1 | 2> {
  let options: Options | 'help';
  try {
    options = readOptions(args);
  } catch (error) {
    screen.printError(`${error instanceof Error ? error.message : String(error)}\nTry --help.`);
    return 2;
  }
  if (options === 'help') {
    screen.print(help);
    return 0;
  }
  try {
    const plan = await look(options, env, screen);
    screen.print(options.json ? JSON.stringify(plan) : render(plan));
    if (plan.drifts.length > 0) return 1;
    return plan.blind.length > 0 ? 2 : 0;
  } catch (caught) {
    const { code, message } = asFailure(caught);
    if (options.json) screen.print(JSON.stringify({ error: { code, message } }));
    screen.printError(message);
    return 2;
  }
}

function readOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      plan: { type: 'boolean' },
      json: { type: 'boolean', default: false },
      shard: { type: 'string', multiple: true },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return 'help';
  if (values.plan !== true) throw new TypeError('Say --plan: this program only prints what would be done.');
  const wanted = values.shard ?? shards;
  const unknown = wanted.find((shard) => !shards.includes(shard));
  if (unknown !== undefined) {
    throw new TypeError(`--shard takes one character of a-z or 2-7, or "fleet", not ${JSON.stringify(unknown)}.`);
  }
  return { shards: wanted, json: values.json };
}

async function look(options: Options, env: Environment, screen: Screen): Promise<Plan> {
  const config = parseConfig(rows, env);
  const database = openPlatformDatabase(config, {
    applicationName: 'fleet reconcile --plan',
    maxConnections: 2,
    onError: (failure) => screen.printError(failure.message),
  });
  const servers = openOdooServers({ adminPassword: odooAdminPasswords(config), applicationName: 'fleet reconcile' });
  const tenants = openTenantCluster(tenantClusterOptions(config));
  try {
    return await planOf(
      {
        database,
        clusterId: config.clusterId,
        surveyors: {
          cluster: (shard) => tenants.survey(shard),
          server: (server, shard) => servers.survey(server, shard),
        },
        settings: {
          orphanQuarantineDays: config.orphanQuarantineDays,
          purgesAfterWindow: config.purgeAfterWindow === 'on',
        },
        onTrouble: (what, error) => screen.printError(`${what}: ${asFailure(error).message}`),
      },
      options.shards,
    );
  } finally {
    await tenants.close();
    await servers.end();
    await database.end();
  }
}

function render({ drifts, blind, instances }: Plan): string {
  const seen = `${instances} instances compared.`;
  const unread = blind.map((place) => `Could not be read: ${place}. What is there is not in this list.`);
  if (drifts.length === 0)
    return [...unread, `${seen} Nothing drifted${blind.length > 0 ? ', as far as was seen' : ''}.`].join('\n');
  const columns = ['severity', 'kind', 'subject', 'would do', 'detail'];
  const lines = [columns, ...drifts.map((one) => [one.severity, one.kind, one.subject, one.action, one.detail])];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const notes = [...new Map(drifts.map((one) => [one.kind, `${one.kind}: ${one.what} ${one.toDo}`])).values()];
  return [...table, '', ...notes, '', ...unread, `${seen} ${drifts.length} drifted.`].join('\n');
}

if (import.meta.main) {
  process.exitCode = await runReconcile(process.argv.slice(2), process.env, {
    print: console.log,
    printError: console.error,
  });
}
