import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connectTo, openDatabases } from './databases.ts';
import { isInitialised } from './initialise.ts';
import { log } from './log.ts';
import type { Options } from './options.ts';
import { webServer } from './web.ts';

/** A stand-in that serves; ended by a signal, as the program is. */
export type Site = { close(signal: NodeJS.Signals): Promise<void> };

/** Starts serving: the pages, and the connection of the cron threads. @throws Error when the server of its database is away. */
export async function openSite(options: Options): Promise<Site> {
  const { database } = options;
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
  return {
    async close(signal) {
      log('INFO', database, 'server', `${signal}: Initiating shutdown`);
      server?.close();
      server?.closeAllConnections();
      await databases.close();
      if (options.cronThreads > 0) await system?.end();
    },
  };
}
