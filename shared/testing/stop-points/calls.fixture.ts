/** A program that makes the calls it is asked for by HTTP: `/http` POSTs to TARGET, `/sql` runs a statement. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'pg';
import { request } from 'undici';

const server = createServer((incoming, outgoing) => void answer(incoming, outgoing));

async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (incoming.url === '/http') {
    const { body } = await request(process.env['TARGET'] ?? '', { method: 'POST', body: 'whole' });
    await body.text();
  } else {
    const client = new Client({ connectionString: process.env['DATABASE'] });
    await client.connect();
    await client.query('insert into marks (mark) values ($1)', ['made']);
    await client.end();
  }
  outgoing.end();
}

server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
