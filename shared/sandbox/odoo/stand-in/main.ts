// A stand-in for Odoo 19, for tests that need hundreds of instances: the same command line, odoo.conf, tables, filestore,
// health page and login, and nothing of the rest. `contracts/odoo.ts` holds it to the real one.
import { text } from 'node:stream/consumers';
import { connectTo } from './databases.ts';
import { initialise } from './initialise.ts';
import { log } from './log.ts';
import { neutralize } from './neutralize.ts';
import { type Options, readOptions } from './options.ts';
import { runShell } from './shell.ts';
import { openSite } from './site.ts';

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes('--version')) {
    process.stdout.write('Odoo stand-in 19.0\n');
    return;
  }
  const options = readOptions(argv);
  log('INFO', undefined, 'start', 'this is the stand-in of Odoo Fleet, not Odoo; version 19.0');
  if (options.connection.user === 'postgres') {
    throw new Error("Using the database user 'postgres' is a security risk, aborting.");
  }
  const { database } = options;
  if (options.command !== 'server' || options.init.length > 0) {
    if (database === undefined) throw new Error('which database? use --database');
    await work(database, options);
    if (options.command !== 'server' || options.stopsAfterInit) return;
  }
  if (options.stopsAfterInit) return;
  await serve(options);
}

/** Initialisation and shell: one connection, which is closed. */
async function work(database: string, options: Options): Promise<void> {
  const client = await connectTo(database, options);
  try {
    if (options.command === 'shell') await runShell(client, await text(process.stdin), options);
    else if (options.command === 'neutralize') await neutralize(client, database);
    else await initialise(client, database, options);
  } finally {
    await client.end();
  }
}

async function serve(options: Options): Promise<void> {
  const stop = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  const site = await openSite(options);
  await site.close(await stop);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  log('ERROR', undefined, 'start', (error as Error).message);
  process.exitCode = 1;
}
