import { readOptions, usage } from './options.ts';
import { runLocal } from './run.ts';
import { openScreen } from './screen.ts';

const startedMs = performance.now() - process.uptime() * 1000;

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(usage);
  } else {
    process.exitCode = await runLocal(options, openScreen({ json: options.json, startedMs }));
  }
} catch (error) {
  const isUsage = error instanceof TypeError && (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  const screen = openScreen({ json: true, startedMs });
  screen.error(error instanceof Error ? error.message : String(error));
  if (error instanceof TypeError) screen.error('See npm run local -- --help');
  else if (error instanceof Error && process.env['DEBUG'] !== undefined) screen.error(error.stack ?? '');
  process.exitCode = isUsage || error instanceof TypeError ? 2 : 1;
}
