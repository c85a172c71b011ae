import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { Client } from 'pg';
import { expect } from 'vitest';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { TestServer } from './odoo-server.fixture.ts';

export type As = { database?: string; user?: string; password?: string; name?: string };

/** A session that stays open; the superuser's unless stated. That it is ended by somebody is no error. */
export async function openSession(on: TestServer, as: As = {}, statements = 'SELECT 1'): Promise<Client> {
  const client = new Client({
    host: on.server.host,
    port: on.server.port,
    ...on.superuser,
    ...(as.user !== undefined && { user: as.user, password: as.password ?? on.adminPassword }),
    database: as.database ?? 'postgres',
    application_name: as.name ?? 'of the test',
  });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(statements);
  return client;
}

/** Ends the session whose statement of that kind waits for a lock, once there is one. */
export async function terminateWaiting(on: TestServer, statement: string): Promise<void> {
  const ended = () =>
    on.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query ~ '${statement}' AND pid <> pg_backend_pid()`);
  await expect.poll(ended, { timeout: 15_000, interval: 5 }).toHaveLength(1);
}

/** A way to the server on which the answer to the n-th COMMIT, counted from `lose`, never arrives. */
export async function openLossyWay(to: DatabaseServer) {
  let commitsLeft = 0;
  const sockets = new Set<Socket>();
  const listener = createServer((near) => {
    const far = dial(to.port, to.host);
    let isLost = false;
    sockets.add(near).add(far);
    near.on('data', (bytes) => {
      if (commitsLeft > 0 && bytes.includes('COMMIT\0')) {
        commitsLeft -= 1;
        isLost = commitsLeft === 0;
      }
      far.write(bytes);
    });
    // the server has done it, or it would not answer
    far.on('data', (bytes) => (isLost ? near.destroy() : near.write(bytes)));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    server: { ...to, port },
    lose(count: number) {
      commitsLeft = count;
    },
    /** True when the answer that was to be lost was lost. */
    wasLost: () => commitsLeft === 0,
    close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}
