import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { bridgeTo } from './bridge.ts';

it('carries bytes both ways, and an end of one side to the other', async () => {
  const server = createServer((socket) => {
    socket.on('data', (bytes) => socket.end(`you said ${bytes.toString()}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const bridge = await bridgeTo({ host: '127.0.0.1', port }, { host: '127.0.0.2' });
  const client = connect({ host: '127.0.0.2', port: bridge.port });
  client.write('hello');
  const [answer] = (await once(client, 'data')) as [Buffer];
  expect(answer.toString()).toBe('you said hello');
  await once(client, 'close');
  await bridge.close();
  const refused = connect({ host: '127.0.0.2', port: bridge.port });
  await expect(once(refused, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
