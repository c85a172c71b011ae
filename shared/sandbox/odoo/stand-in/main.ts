// A stand-in for Odoo 19, for tests that need hundreds of instances: the same command line, odoo.conf, tables, filestore,
// health page and login, and nothing of the rest. `contracts/odoo.ts` holds it to the real one.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { connectTo, openDatabases } from './databases.ts';
import { initialise, isInitialised } from './initialise.ts';
import { log } from './log.ts';
import { type Options, readOptions } from './options.ts';
import { runShell } from './shell.ts';
import { webServer } from './web.ts';

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
  if (options.command === 'shell' || options.init.length > 0) {
    if (database === undefined) throw new Error('which database? use --database');
    await work(database, options);
    if (options.command === 'shell' || options.stopsAfterInit) return;
  }
  if (options.stopsAfterInit) return;
  await serve(options);
}

/** Initialisation and shell: one connection, which is closed. */
async function work(database: string, options: Options): Promise<void> {
  const client = await connectTo(database, options);
  try {
    if (options.command === 'shell') await runShell(client, await text(process.stdin), options);
    else await initialise(client, database, options);
  } finally {
    await client.end();
  }
}

async function serve(options: Options): Promise<void> {
  const { database } = options;
  const stop = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  // like Odoo: without this connection it does not start, whatever its own database grants
  const system = database === undefined ? undefined : await connectTo('postgres', options);
  const databases = openDatabases(options);
  const server = options.isHttpEnabled ? webServer(options, databases) : undefined;
  if (server !== undefined) {
    server.listen(options.httpPort, options.httpInterface);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    log('INFO', undefined, 'server', `HTTP service (stand-in) running on ${options.httpInterface}:${port}`);
  }
  // Odoo's cron threads wait there for notifications, for as long as the process lives
  if (options.cronThreads > 0) await system?.query('listen cron_trigger');
  else await system?.end();
  if (database !== undefined) {
    const client = await databases.pool.connect();
    const isReady = await isInitialised(client);
    client.release();
    if (!isReady)
      log('ERROR', database, 'loading', `Database ${database} not initialized, you can force it with --init`);
  }
  log('INFO', database, 'server', `${await stop}: Initiating shutdown`);
  server?.close();
  server?.closeAllConnections();
  await databases.close();
  if (options.cronThreads > 0) await system?.end();
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  log('ERROR', undefined, 'start', (error as Error).message);
  process.exitCode = 1;
}
