import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Databases } from './databases.ts';
import { log } from './log.ts';
import type { Options } from './options.ts';
import { answerJsonRpc, answerXmlRpc } from './rpc.ts';

const LARGEST_BODY = 1024 * 1024;

/** The pages of the stand-in; each says what it is. */
export function webServer(options: Options, databases: Databases): Server {
  return createServer((request, response) => {
    respond(request, response, { options, databases }).catch((error: Error) => {
      log('ERROR', options.database, 'http', `${request.method} ${request.url}: ${error.message}`);
      if (!response.headersSent) page(response, 500, 'Internal Server Error');
      else response.destroy();
    });
  });
}

type Site = { options: Options; databases: Databases };

async function respond(request: IncomingMessage, response: ServerResponse, site: Site): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://stand-in');
  switch (pathname) {
    case '/web/health':
      return health(response, searchParams.has('db_server_status') ? site.databases : undefined);
    case '/web/login':
      return login(response, site);
    case '/web/database/manager':
    case '/web/database/selector':
      return manager(response, site);
    case '/jsonrpc':
      return send(response, 200, 'application/json', JSON.stringify(await answerJsonRpc(await body(request), site)));
    case '/xmlrpc/2/common':
    case '/xmlrpc/common':
      return send(response, 200, 'text/xml', await answerXmlRpc(await body(request), site));
    case '/':
      return redirect(response, '/odoo');
    case '/odoo':
    case '/web':
      return redirect(response, '/web/login');
    default:
      return page(response, 404, 'Not Found');
  }
}

async function health(response: ServerResponse, databases: Databases | undefined): Promise<void> {
  if (databases === undefined) return send(response, 200, 'application/json', '{"status": "pass"}');
  const isUp = await databases.pool.query('select 1').then(
    () => true,
    () => false,
  );
  const status = { status: isUp ? 'pass' : 'fail', db_server_status: isUp };
  send(response, isUp ? 200 : 500, 'application/json', JSON.stringify(status));
}

/** As in Odoo: the page needs exactly one database, and that database must answer. */
async function login(response: ServerResponse, { databases }: Site): Promise<void> {
  const found = await databases.list();
  if (found.length !== 1) return redirect(response, '/web/database/selector');
  const { rows } = await databases.pool.query<{ name: string }>('select name from res_company order by id limit 1');
  response.setHeader('Set-Cookie', 'session_id=stand-in; HttpOnly; Path=/');
  page(
    response,
    200,
    `${escape(rows[0]?.name ?? '')}</h1><form class="oe_login_form"><input name="login"><input name="password" type="password"></form><h1>`,
  );
}

async function manager(response: ServerResponse, { options, databases }: Site): Promise<void> {
  if (!options.listsDatabases)
    return page(response, 200, 'The database manager has been disabled by the administrator');
  page(response, 200, `Databases: ${(await databases.list()).map(escape).join(', ')}`);
}

function page(response: ServerResponse, status: number, title: string): void {
  const text = `<!DOCTYPE html><html><head><title>Odoo stand-in</title></head><body><h1>${title}</h1>
<p>This is the stand-in of Odoo Fleet, not Odoo: a small program with Odoo's command line, tables and health page.</p></body></html>`;
  send(response, status, 'text/html; charset=utf-8', text);
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, Server: 'odoo-stand-in' }).end(text);
}

function redirect(response: ServerResponse, to: string): void {
  response.writeHead(303, { Location: to, Server: 'odoo-stand-in' }).end();
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY) throw new Error('the request is larger than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
