import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import type { PostgresServer } from '#shared/sandbox/servers/postgres.ts';

const password = 'bench';

/** One of 1500 words, some of them much more often than others. */
const word = `left(md5('w' || floor(1500 * random() ^ 3)), 2 + (10 * random() ^ 2)::int)`;

/** What Odoo sends to customers and keeps with the order: markup that is the same, a few words that are not. */
const templateMail = `'<div style="margin: 0px; padding: 0px;"><p style="margin: 0px; padding: 0px; font-size: 13px;">Hello,<br><br>'
  || 'Your quotation <span style="font-weight: bold;">S' || lpad((m.n / 4)::text, 6, '0') || '</span> amounting in '
  || '<span style="font-weight: bold;">$ ' || (m.n * 17 % 90000) / 2.0 || '</span> is ready for review.<br><br>'
  || 'Do not hesitate to contact us if you have any questions.<br><br>--<br>Person ' || m.n % 3000 || '</p></div>'
  || '<table border="0" cellpadding="0" cellspacing="0" style="padding-top: 16px; background-color: #F1F1F1; width: 100%;">'
  || '<tr><td align="center"><a href="https://shop.example.com/my/orders/' || m.n / 4 || '?access_token=' || md5('t' || m.n)
  || '" style="background-color: #875A7B; padding: 8px 16px; text-decoration: none; color: #fff;">View Quotation</a>'
  || '</td></tr></table>'`;

/**
 * Tables as those that are large in a database of Odoo: journal items (numbers and references), messages (a quarter mails
 * from a template, a quarter written by people, with words that are as unequal as a language's and the mail they answer,
 * half notes of the system) and some MB of attachments in the database, where Odoo's own lie after a clone and which no
 * compression makes smaller: a customer's are in the filestore.
 */
const fill = (megabytes: number) => `
  CREATE TABLE account_move_line (id bigserial PRIMARY KEY, move_id int, move_name varchar, account_id int, partner_id int,
    company_id int, currency_id int, name varchar, debit numeric, credit numeric, balance numeric, date date,
    parent_state varchar, display_type varchar, create_uid int, create_date timestamp, write_date timestamp,
    reconciled boolean);
  INSERT INTO account_move_line (move_id, move_name, account_id, partner_id, company_id, currency_id, name, debit, credit,
      balance, date, parent_state, display_type, create_uid, create_date, write_date, reconciled)
    SELECT n / 3, 'INV/2026/' || lpad((n / 3)::text, 6, '0'), n % 400, (n / 3 * 791) % 20000, 1, 1,
      'Product ' || (n * 31) % 800 || ' delivered', CASE WHEN n % 3 > 0 THEN (n * 17 % 900) / 2.0 ELSE 0 END,
      CASE WHEN n % 3 = 0 THEN (n * 13 % 900) / 2.0 ELSE 0 END, (n * 17 % 900) / 2.0, date '2024-01-01' + n / 3000,
      'posted', 'product', 2 + n % 20, timestamp '2024-01-01' + n * interval '37 seconds',
      timestamp '2024-01-01' + n * interval '37 seconds', n % 7 = 0
    FROM generate_series(1, ${megabytes} * 2400) n;
  CREATE TABLE mail_message (id bigserial PRIMARY KEY, model varchar, res_id int, author_id int, date timestamp,
    subject varchar, body text, message_id varchar, message_type varchar, email_from varchar);
  INSERT INTO mail_message (model, res_id, author_id, date, subject, body, message_id, message_type, email_from)
    SELECT 'sale.order', m.n / 4, m.n % 3000, timestamp '2024-01-01' + m.n * interval '1 minute', 'Re: order ' || m.n / 4,
      CASE m.n % 4 WHEN 0 THEN ${templateMail}
        WHEN 1 THEN '<div><p>' || (SELECT string_agg(${word}, ' ') FROM generate_series(1, 40) WHERE m.n > 0)
          || '</p><blockquote data-o-mail-quote="1">' || ${templateMail} || '</blockquote><br><span data-o-mail-quote="1">-- <br>Person '
          || m.n % 3000 || '<br>Sales department</span></div>'
        WHEN 2 THEN '<p>Quotation confirmed</p>' ELSE '' END,
      '<' || md5(m.n::text) || '-openerp-' || m.n || '-sale.order@odoo.example.com>', 'email',
      '"Person ' || m.n % 3000 || '" <person' || m.n % 3000 || '@example.com>'
    FROM generate_series(1, ${megabytes} * 1100) m (n);
  CREATE TABLE ir_attachment (id bigserial PRIMARY KEY, name varchar, store_fname varchar, checksum varchar, file_size int,
    db_datas bytea);
  ALTER TABLE ir_attachment ALTER db_datas SET STORAGE EXTERNAL;
  INSERT INTO ir_attachment (name, file_size, db_datas)
    SELECT 'scan ' || n, 65536, (SELECT string_agg(sha256((n || '.' || k)::bytea), '') FROM generate_series(1, 2048) k)
    FROM generate_series(1, ${megabytes} / 3) n;
  CREATE INDEX ON account_move_line (partner_id);
  CREATE INDEX ON mail_message (res_id);
  ANALYZE;
`;

/** A database of so many MB or some more, and a role that owns it. */
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
