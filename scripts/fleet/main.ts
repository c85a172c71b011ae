import { parseArgs } from 'node:util';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { openPlatformDatabase } from '#shared/runtime/platform-database.ts';
import { platformDatabase } from '#shared/runtime/rows.ts';
import { type Done, listBackups, showBackup } from './backups.ts';

const help = `Usage: node scripts/fleet/main.ts backups <command> [options]

Shows the backups of instances, as the platform's records hold them. It changes nothing.

  backups list INSTANCE            all that are kept, newest first, and the last proven restorable point
  backups show INSTANCE [BACKUP]   one of them; the newest that succeeded unless named

  --json   prints one JSON document, or {"error": {"code", "message"}}
  --help

Exit code: 0 done, 1 not done, 2 called wrongly.

Settings, from the environment:
${helpOf(platformDatabase)}`;

type Screen = { print(line: string): void; printError(line: string): void };
type Call = { run(database: Database): Promise<Done> };

function parseCall(args: readonly string[]): Call | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (values.help === true) return 'help';
  const [noun, verb, instanceId, backupId, ...more] = positionals;
  if (noun === 'backups' && instanceId !== undefined && more.length === 0) {
    if (verb === 'list' && backupId === undefined) return { run: (database) => listBackups(database, instanceId) };
    if (verb === 'show') return { run: (database) => showBackup(database, { instanceId, backupId }) };
  }
  throw new TypeError('Say "backups list INSTANCE" or "backups show INSTANCE [BACKUP]".');
}

/** The program. Returns its exit code, see the usage. */
export async function runFleet(args: readonly string[], env: Environment, screen: Screen): Promise<0 | 1 | 2> {
  const fail = ({ code, message }: Failure): 1 | 2 => {
    const isWrongCall = code === 'misconfigured';
    if (args.includes('--json')) screen.print(JSON.stringify({ error: { code, message } }));
    screen.printError(isWrongCall ? `${message}\nSee node scripts/fleet/main.ts --help.` : message);
    return isWrongCall ? 2 : 1;
  };
  let call: Call | 'help';
  try {
    call = parseCall(args);
  } catch (cause) {
    return fail(new Failure('misconfigured', cause instanceof Error ? cause.message : String(cause), { cause }));
  }
  if (call === 'help') {
    screen.print(help);
    return 0;
  }
  try {
    const database = openPlatformDatabase(parseConfig(platformDatabase, env), {
      applicationName: 'fleet command',
      maxConnections: 1,
      // the statement that meets it reports it
      onError: () => undefined,
    });
    try {
      const { json, lines } = await call.run(database);
      for (const line of args.includes('--json') ? [JSON.stringify(json)] : lines) screen.print(line);
      return 0;
    } finally {
      await database.end();
    }
  } catch (caught) {
    return fail(asFailure(caught));
  }
}

if (import.meta.main) {
  process.exitCode = await runFleet(process.argv.slice(2), process.env, {
    print: console.log,
    printError: console.error,
  });
}
