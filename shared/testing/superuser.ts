import { Client } from 'pg';

type Server = { host: string; port: number; superuser: string; superuserPassword: string };

/** Works in a session of the superuser, in the database `postgres` unless stated. */
export async function asSuperuser<Result>(
  server: Server,
  work: (client: Client) => Promise<Result>,
  { database = 'postgres' } = {},
): Promise<Result> {
  const { host, port, superuser: user, superuserPassword: password } = server;
  const client = new Client({ host, port, user, password, database });
  client.on('error', () => undefined); // the query that meets it reports it
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
