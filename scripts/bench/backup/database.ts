import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import type { PostgresServer } from '#shared/sandbox/servers/postgres.ts';

const password = 'bench';

/**
 * Tables as those that are large in a database of Odoo: journal items (numbers), messages (HTML that repeats itself) and
 * attachments kept in the database (which no compression makes smaller). So many bytes of rows, an eighth of it attachments.
 */
const fill = (megabytes: number) => `
  CREATE TABLE account_move_line (id bigserial PRIMARY KEY, move_id int, account_id int, partner_id int, name varchar,
    debit numeric, credit numeric, balance numeric, date date, create_date timestamp, reconciled boolean);
  INSERT INTO account_move_line (move_id, account_id, partner_id, name, debit, credit, balance, date, create_date, reconciled)
    SELECT n / 3, n % 400, hashint4(n) % 20000, 'INV/2026/' || lpad((n / 3)::text, 6, '0') || ' ' || left(md5(n::text), 8),
      round((random() * 9999)::numeric, 2), 0, round((random() * 9999)::numeric, 2), date '2024-01-01' + n % 900,
      timestamp '2024-01-01' + n * interval '37 seconds', n % 7 = 0
    FROM generate_series(1, ${megabytes} * 2600) n;
  CREATE TABLE mail_message (id bigserial PRIMARY KEY, res_id int, author_id int, date timestamp, subject varchar, body text,
    message_id varchar);
  INSERT INTO mail_message (res_id, author_id, date, subject, body, message_id)
    SELECT n, n % 3000, timestamp '2024-01-01' + n * interval '1 minute', 'Re: order ' || n,
      (SELECT string_agg('<p>' || md5((n * 7 + k % 5)::text) || ' thank you for your order, we ship it on '
        || k || '. <span style="color: #333">Kind regards</span></p>', '') FROM generate_series(1, 6) k),
      '<' || md5(n::text) || '@odoo>'
    FROM generate_series(1, ${megabytes} * 620) n;
  CREATE TABLE ir_attachment (id bigserial PRIMARY KEY, name varchar, store_fname varchar, checksum varchar, file_size int,
    db_datas bytea);
  ALTER TABLE ir_attachment ALTER db_datas SET STORAGE EXTERNAL;
  INSERT INTO ir_attachment (name, file_size, db_datas)
    SELECT 'scan ' || n, 65536, (SELECT string_agg(sha256((n || '.' || k)::bytea), '') FROM generate_series(1, 2048) k)
    FROM generate_series(1, ${megabytes} * 2) n;
  CREATE INDEX ON account_move_line (partner_id);
  CREATE INDEX ON mail_message (res_id);
  ANALYZE;
`;

/** A database of about so many MB as `pg_database_size` counts, and a role that may read it. */
export async function makeDatabase(server: PostgresServer, name: string, megabytes: number): Promise<DatabaseAccess> {
  await asSuperuser(server, 'postgres', async (client) => {
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
    await client.query(`CREATE DATABASE ${name} OWNER ${name} TEMPLATE template0`);
  });
  const access = { host: server.host, port: server.port, user: name, password, database: name, sslMode: 'disable' };
  const client = new Client({ ...access, user: name });
  await client.connect();
  try {
    await client.query(fill(megabytes));
  } finally {
    await client.end();
  }
  await asSuperuser(server, name, (client) => client.query('CHECKPOINT'));
  return access;
}

/** Adds rows of attachments whose content is in the filestore, and the files. */
export async function attachFiles(
  access: DatabaseAccess,
  filestore: string,
  { count, bytes }: { count: number; bytes: number },
): Promise<void> {
  const rows: [string, string][] = [];
  for (let n = 0; n < count; n += 1) {
    const content = randomBytes(bytes);
    const sha1 = createHash('sha1').update(content).digest('hex');
    const file = `${sha1.slice(0, 2)}/${sha1}`;
    await mkdir(dirname(join(filestore, file)), { recursive: true });
    await writeFile(join(filestore, file), content);
    rows.push([file, sha1]);
  }
  const client = new Client(access);
  await client.connect();
  try {
    await client.query(
      `INSERT INTO ir_attachment (name, store_fname, checksum, file_size)
       SELECT 'file', file, sha1, $3 FROM unnest($1::text[], $2::text[]) AS made (file, sha1)`,
      [rows.map(([file]) => file), rows.map(([, sha1]) => sha1), bytes],
    );
  } finally {
    await client.end();
  }
}

async function asSuperuser(
  server: PostgresServer,
  database: string,
  work: (client: Client) => Promise<unknown>,
): Promise<void> {
  const { host, port, superuser: user, superuserPassword } = server;
  const client = new Client({ host, port, user, password: superuserPassword, database });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
