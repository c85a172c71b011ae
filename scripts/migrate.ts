import { parseArgs } from 'node:util';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { platformDirect } from '#shared/runtime/platform-direct.ts';

const help = `Usage: npm run migrate -- [--json] [--help]

Brings the platform database's schema up to date. Forward only; harmless when it is up to date, and when several
processes do it at once.

  --json  prints one JSON document: {"applied": [names], "seconds": n}, or {"error": {"code", "message"}}

Settings, from the environment:
${helpOf(platformDirect)}`;

/** The program. Returns its exit code: 0 up to date, 1 the schema could not be changed, 2 called wrongly. */
export async function runMigrate(
  args: readonly string[],
  env: Environment,
  options: { print(line: string): void; printError(line: string): void },
): Promise<0 | 1 | 2> {
  const { print, printError } = options;
  let wanted: { json?: boolean; help?: boolean };
  try {
    wanted = parseArgs({ args: [...args], options: { json: { type: 'boolean' }, help: { type: 'boolean' } } }).values;
  } catch (error) {
    printError(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return 2;
  }
  if (wanted.help === true) {
    print(help);
    return 0;
  }
  const began = performance.now();
  try {
    const { applied } = await migrate({ ...parseConfig(platformDirect, env), onProgress: printError });
    const seconds = Math.round(performance.now() - began) / 1000;
    if (wanted.json === true) print(JSON.stringify({ applied, seconds }));
    else if (applied.length === 0) print('The schema is up to date.');
    else print(`${applied.length} ${applied.length === 1 ? 'migration' : 'migrations'} applied in ${seconds} s.`);
    return 0;
  } catch (caught) {
    const { code, message } = asFailure(caught);
    if (wanted.json === true) print(JSON.stringify({ error: { code, message } }));
    printError(message);
    return code === 'misconfigured' ? 2 : 1;
  }
}

if (import.meta.main) {
  process.exitCode = await runMigrate(process.argv.slice(2), process.env, {
    print: console.log,
    printError: console.error,
  });
}
