import { createHash, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Client } from 'pg';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';

/** An instance's database as Odoo and the platform leave it, with a filestore. */
export type Tenant = {
  instanceId: string;
  /** As the backup's own role, which may read all of it and write nothing. */
  access: DatabaseAccess;
  filestore: string;
  asSuperuser<Result>(work: (client: Client) => Promise<Result>): Promise<Result>;
  /** Writes a file into the filestore as Odoo does, and a row that names it. Its path in the filestore. */
  attach(client: Client, content: string | Buffer, name?: string): Promise<string>;
};

const schema = `
  CREATE EXTENSION pg_trgm;
  CREATE EXTENSION unaccent;
  CREATE TABLE ir_module_module (id serial PRIMARY KEY, name varchar NOT NULL UNIQUE, state varchar, latest_version varchar);
  INSERT INTO ir_module_module (name, state, latest_version) VALUES
    ('base', 'installed', '19.0.1.3'), ('web', 'installed', '19.0.1.0'), ('crm', 'uninstalled', NULL);
  CREATE TABLE res_partner (id serial PRIMARY KEY, parent_id int REFERENCES res_partner ON DELETE SET NULL,
    name varchar NOT NULL, credit numeric, rate double precision, born timestamp, image bytea, tags jsonb,
    upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
  CREATE INDEX ON res_partner USING gin (name gin_trgm_ops);
  CREATE TABLE ir_attachment (id serial PRIMARY KEY, name varchar, store_fname varchar, checksum varchar(40),
    file_size int, db_datas bytea);
  CREATE TABLE ir_config_parameter (id serial PRIMARY KEY, key varchar UNIQUE, value text);
  INSERT INTO ir_config_parameter (key, value) VALUES ('database.uuid', 'd8b3');
  CREATE TABLE "Odd ""name"", with ünicode" (id bigint GENERATED ALWAYS AS IDENTITY, "t" text, "fleet_row" text);
  INSERT INTO "Odd ""name"", with ünicode" ("t", "fleet_row") VALUES ('a', E'b\\t\\\\n'), (NULL, '');
  CREATE SEQUENCE ir_sequence_042 START 1234;
  CREATE VIEW partners AS SELECT id, name FROM res_partner;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := NEW.name; RETURN NEW; END';
  CREATE TRIGGER touched BEFORE UPDATE ON res_partner FOR EACH ROW EXECUTE FUNCTION touch();
`;
const partners = `
  INSERT INTO res_partner (parent_id, name, credit, rate, born, image, tags)
  SELECT CASE WHEN n > 1 THEN 1 END, (ARRAY['Größe', '名前 🐘', 'Müller; "quoted"', E'line\\nbreak\\t\\\\.'])[1 + n % 4] || n,
    n * 1.10, n / 3.0, timestamp '2024-02-29 12:00:00.123456' + n * interval '1 day',
    decode(repeat(md5(n::text), 1 + n % 5), 'hex'), jsonb_build_object('n', n, 'ü', null)
  FROM generate_series(1, $1::int) n`;

/** Makes one, with `partners` rows of that table, four attachments in files, one in the database and two large objects. */
export async function makeTenant(folder: string, options: { partners?: number } = {}): Promise<Tenant> {
  const { postgres } = sharedServers();
  const instanceId = `t${randomBytes(5).toString('hex')}x`;
  const role = `odoo_${instanceId}`;
  const password = `p:w\\${randomBytes(12).toString('hex')}`;
  await asSuperuser(postgres, async (client) => {
    await client.query(`CREATE ROLE ${role}_owner NOLOGIN`);
    await client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'none of the worker''s'`);
    await client.query(`CREATE ROLE ${role}_backup LOGIN PASSWORD '${password}' IN ROLE ${role} CONNECTION LIMIT 4`);
    await client.query(`ALTER ROLE ${role}_backup SET default_transaction_read_only = on`);
    await client.query(`CREATE DATABASE ${role} OWNER ${role}_owner TEMPLATE template0`);
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${role} FROM PUBLIC`);
    await client.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${role} TO ${role}`);
    await client.query(`GRANT CREATE ON DATABASE ${role} TO ${role}`);
  });
  const filestore = join(folder, 'filestore', role);
  const inDatabase = <Result>(work: (client: Client) => Promise<Result>) =>
    asSuperuser(postgres, work, { database: role });
  const attach = async (client: Client, content: string | Buffer, name = 'a file') => {
    const { file, sha1 } = await writeAttachment(filestore, content);
    await client.query('INSERT INTO ir_attachment (name, store_fname, checksum, file_size) VALUES ($1, $2, $3, $4)', [
      name,
      file,
      sha1,
      Buffer.byteLength(content),
    ]);
    return file;
  };
  await inDatabase(async (client) => {
    await client.query(`ALTER SCHEMA public OWNER TO ${role}`);
    await client.query(`SET ROLE ${role}`);
    await client.query(schema);
    await client.query(partners, [options.partners ?? 500]);
    for (const content of ['first', 'zweites 🐘', '', randomBytes(700_000)]) await attach(client, content);
    // two rows may share a file, and one may keep its content in the database
    await attach(client, 'first', 'the same content');
    await client.query(`INSERT INTO ir_attachment (name, db_datas) VALUES ('in the database', 'abc')`);
    await client.query(
      `SELECT lo_from_bytea(0, 'large object'), lo_from_bytea(0, decode(repeat('00ff', 300000), 'hex'))`,
    );
  });
  const access = { host: postgres.host, port: postgres.port, user: `${role}_backup`, password, database: role };
  return { instanceId, access: { ...access, sslMode: 'disable' }, filestore, asSuperuser: inDatabase, attach };
}

/** As Odoo does: under the sha1 of its content. */
export async function writeAttachment(
  filestore: string,
  content: string | Buffer,
): Promise<{ file: string; sha1: string }> {
  const sha1 = createHash('sha1').update(content).digest('hex');
  const file = `${sha1.slice(0, 2)}/${sha1}`;
  await mkdir(dirname(join(filestore, file)), { recursive: true });
  await writeFile(join(filestore, file), content);
  return { file, sha1 };
}

/** An empty database for a verification, with a role of its own that is no superuser and owns it. */
export async function makeVerificationDatabase(): Promise<DatabaseAccess> {
  const { postgres } = sharedServers();
  const name = `verify_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await asSuperuser(postgres, async (client) => {
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${password}'`);
    await client.query(`CREATE DATABASE ${name} OWNER ${name} TEMPLATE template0`);
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
  });
  return { host: postgres.host, port: postgres.port, user: name, password, database: name, sslMode: 'disable' };
}

/** Removes a database that a test made, and its role. */
export async function dropTestDatabase({ database, user }: DatabaseAccess): Promise<void> {
  await asSuperuser(sharedServers().postgres, async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    if (user === database) await client.query(`DROP ROLE IF EXISTS ${user}`);
  });
}
