import { openResender } from '#shared/adapters/eventing/resend.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { defineConfig, type Environment, helpOf, parseConfig } from '#shared/runtime/config.ts';
import { eventFunctions } from '#shared/runtime/dead-letter/origin.ts';
import { openPlatformDatabase } from '#shared/runtime/platform-database.ts';
import { functionAddresses, platformDatabase, publishing } from '#shared/runtime/rows.ts';
import { type DeadLetterOptions, readOptions, usage } from './options.ts';
import { run, type Screen } from './run.ts';

const { brokerUrl } = publishing;
const readRows = defineConfig({ ...platformDatabase, ...functionAddresses });
const replayRows = defineConfig({ ...readRows, brokerUrl });

const help = () => `${usage}
Settings, from the environment, the same as those of the functions (BROKER_URL for replay only):
${helpOf(replayRows)}`;

/** Longer than a function's time for its steps. */
const answerTimeoutMs = 60_000;

/** The program. Returns its exit code, see the usage. */
export async function runDeadLetters(args: readonly string[], env: Environment, screen: Screen): Promise<0 | 1 | 2> {
  let options: DeadLetterOptions | 'help';
  try {
    options = readOptions(args, Date.now());
  } catch (error) {
    screen.printError(`${error instanceof Error ? error.message : String(error)}\nTry --help.`);
    return 2;
  }
  if (options === 'help') {
    screen.print(help());
    return 0;
  }
  try {
    return await runWith(options, env, screen);
  } catch (caught) {
    const { code, message } = asFailure(caught);
    if (options.json) screen.print(JSON.stringify({ error: { code, message } }));
    screen.printError(message);
    return code === 'misconfigured' ? 2 : 1;
  }
}

async function runWith(options: DeadLetterOptions, env: Environment, screen: Screen): Promise<0 | 1> {
  const needsBroker = options.command === 'replay';
  const config = needsBroker ? parseConfig(replayRows, env) : { ...parseConfig(readRows, env), brokerUrl: '' };
  const database = openPlatformDatabase(config, {
    applicationName: 'fleet dead-letters',
    maxConnections: 2,
    onError: (failure) => screen.printError(failure.message),
  });
  const resender = openResender({ timeoutMs: answerTimeoutMs });
  try {
    const { functionUrl } = config;
    return await run(options, {
      database,
      screen,
      replay: { functionUrl, functions: eventFunctions, brokerUrl: config.brokerUrl, resend: resender.send },
    });
  } finally {
    await resender.end();
    await database.end();
  }
}

if (import.meta.main) {
  process.exitCode = await runDeadLetters(process.argv.slice(2), process.env, {
    print: console.log,
    printError: console.error,
  });
}
