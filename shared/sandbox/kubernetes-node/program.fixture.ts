import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

// A small program for the node's tests. Arguments: `serve ADDRESS PORT [FILE]`, `exit CODE [LINE]`, `write FILE TEXT`, `sleep`,
// `ask ADDRESS PORT` (waits for an answer).
// `/healthz` answers 503 while the file named by UNHEALTHY_FILE exists; other paths answer what the program sees.
const [what, ...rest] = process.argv.slice(2);

if (what === 'exit') {
  if (rest[1] !== undefined) process.stderr.write(`${rest[1]}\n`);
  process.exit(Number(rest[0]));
}
if (what === 'write') {
  writeFileSync(rest[0] ?? '', rest[1] ?? '');
  process.exit(0);
}
if (what === 'sleep') await delay(600_000);
while (what === 'ask') {
  const answer = await fetch(`http://${rest[0]}:${rest[1]}/`).catch(() => undefined);
  if (answer?.ok) process.exit(0);
  await delay(50);
}

const unhealthyFile = process.env['UNHEALTHY_FILE'];
const server = createServer((request, response) => {
  if (request.url === '/healthz' && unhealthyFile !== undefined && existsSync(unhealthyFile)) {
    response.writeHead(503).end();
    return;
  }
  const file = rest[2] === undefined ? undefined : readFileSync(rest[2], 'utf8');
  const { env } = process;
  const [uid, groups] = [process.getuid?.(), process.getgroups?.()];
  response.end(JSON.stringify({ env, uid, groups, argv: rest, file, headers: request.headers, path: request.url }));
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n');
  socket.write(`for ${String(request.headers['x-forwarded-for'])} `);
  socket.on('error', () => undefined);
  socket.pipe(socket);
});
server.listen(Number(rest[1]), rest[0], () => process.stdout.write('listening\n'));
process.on('SIGTERM', () => {
  process.stdout.write('asked to end\n');
  process.exit(0);
});
