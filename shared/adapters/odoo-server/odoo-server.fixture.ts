import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { DatabaseServer, Instance } from '#shared/domain/instance/instance.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import type { Fenced, TemplateKey } from '#shared/domain/instance/ports.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { type OdooServers, openOdooServers } from './odoo-servers.ts';
import { scramVerifier } from './scram.ts';

export type TestServer = {
  server: DatabaseServer;
  logFile: string;
  adminPassword: string;
  superuser: { user: string; password: string };
  /** One more process of the fleet, as far as the server can tell. */
  open(): OdooServers;
  /** One statement, or several, as any role; the superuser unless stated. */
  query<Row extends object>(text: string, as?: { database?: string; user?: string; password?: string }): Promise<Row[]>;
  /** Ends it without a word, as a crash does, and starts it again. */
  crash(): Promise<void>;
  /** Names of the databases with this in them, in order. */
  databasesLike(pattern: string): Promise<string[]>;
  stop(): Promise<void>;
};

/** A private server with an admin as managed services give one: CREATEDB, CREATEROLE, NOSUPERUSER. */
export async function startTestServer(version: 'system' | 'embedded'): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'odoo-server-'));
  const processes = await openProcessGroup();
  const postgres = await startPostgres({
    processes,
    folder,
    name: `odoo-${version}`,
    version,
    durable: false,
    settings: { log_statement: 'all' },
  });
  const opened: OdooServers[] = [];
  const adminPassword = 'admin-password-of-the-test';
  const server: DatabaseServer = {
    id: `test-${version}`,
    host: postgres.host,
    port: postgres.port,
    adminUser: 'fleet_admin',
    secretKey: 'test',
    sslMode: 'disable',
  };

  async function query<Row extends object>(
    text: string,
    as: { database?: string; user?: string; password?: string } = {},
  ): Promise<Row[]> {
    const client = new Client({
      host: postgres.host,
      port: postgres.port,
      user: as.user ?? postgres.superuser,
      password: as.user === undefined ? postgres.superuserPassword : (as.password ?? adminPassword),
      database: as.database ?? 'postgres',
    });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  await query(`CREATE ROLE fleet_admin LOGIN CREATEDB CREATEROLE NOSUPERUSER
    PASSWORD '${await scramVerifier(adminPassword)}'`);
  return {
    server,
    logFile: postgres.logFile,
    adminPassword,
    superuser: { user: postgres.superuser, password: postgres.superuserPassword },
    query,
    crash: () => postgres.restart({ signal: 'SIGQUIT' }),
    async databasesLike(pattern) {
      const text = `SELECT datname AS name FROM pg_database WHERE datname ~ '${pattern}' ORDER BY 1`;
      return (await query<{ name: string }>(text)).map(({ name }) => name);
    },
    open() {
      const servers = openOdooServers({ adminPassword: (key) => (key === 'test' ? adminPassword : undefined) });
      opened.push(servers);
      return servers;
    },
    async stop() {
      for (const servers of opened) await servers.end();
      await processes.stopAll();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What `-i base` leaves, as far as the fleet touches it, and one object of each kind that changes hands. */
export const odooTables = `
  CREATE TABLE ir_module_module (id serial PRIMARY KEY, name varchar NOT NULL UNIQUE, state varchar);
  CREATE TABLE ir_config_parameter (id serial PRIMARY KEY, key varchar NOT NULL UNIQUE, value text NOT NULL,
    create_uid int, write_uid int, create_date timestamp, write_date timestamp);
  CREATE TABLE res_partner (id serial PRIMARY KEY, name varchar, email varchar, write_date timestamp);
  CREATE TABLE res_users (id serial PRIMARY KEY, login varchar NOT NULL UNIQUE, password varchar, active boolean,
    partner_id int NOT NULL REFERENCES res_partner, write_date timestamp);
  CREATE TABLE ir_attachment (id serial PRIMARY KEY, name varchar, store_fname varchar, db_datas bytea);
  CREATE VIEW report_view AS SELECT name FROM res_partner;
  CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42';
  INSERT INTO ir_module_module (name, state) VALUES ('base', 'installed'), ('web', 'installed');
  INSERT INTO ir_config_parameter (key, value) VALUES ('database.uuid', 'of the template'),
    ('database.secret', 'of the template'), ('web.base.url', 'http://localhost:8069'),
    ('ir_attachment.location', 'db'), ('report.url', 'http://127.0.0.1');
  INSERT INTO res_partner (name, email) VALUES ('My Company', 'info@example.com'), ('System', null), ('Administrator', null);
  INSERT INTO res_users (login, password, active, partner_id)
    VALUES ('__system__', null, false, 2), ('admin', 'hash of admin', true, 3);
  INSERT INTO ir_attachment (name, db_datas) VALUES ('icon', 'bytes')`;

/** Builds a template the way the fleet does, with the tables above in place of Odoo. */
export async function buildTemplate(test: TestServer, servers: OdooServers, template: TemplateKey): Promise<void> {
  const password = 'password-of-the-build';
  const { database, role } = await servers.warm.beginTemplate(test.server, template, { password });
  await test.query(odooTables, { database, user: role, password });
  await servers.warm.finishTemplate(test.server, template);
}

/** A private server as a process of the fleet has it, with a template that is ready to be cloned. */
export async function startServerWithTemplate(
  version: 'system' | 'embedded',
): Promise<{ on: TestServer; servers: OdooServers; template: TemplateKey }> {
  const on = await startTestServer(version);
  const servers = on.open();
  const template = someTemplate();
  await buildTemplate(on, servers, template);
  return { on, servers, template };
}

let count = 0;

/** A template key of its own for a test. */
export function someTemplate(): TemplateKey {
  count += 1;
  return {
    imageId: 'odoo-19',
    modules: [],
    digest: `${Date.now().toString(16).slice(-8)}${count.toString(16).padStart(4, '0')}`,
  };
}

/** An instance of its own for a test. */
export function someInstance(): Instance & { databaseServer: null } {
  count += 1;
  const id = deriveInstanceId('test', `${Date.now()} ${count}`);
  return {
    id,
    customerId: 'customer-1',
    name: `shop-${count}`,
    host: `shop-${count}.example.com`,
    clusterId: 'local',
    desiredState: 'running',
    suspensions: [],
    restartedBy: null,
    domains: [],
    clonedFrom: null,
    status: 'creating',
    generation: 1,
    observedGeneration: 0,
    plan: {
      id: 'small',
      cpuMillis: 500,
      memoryMib: 512,
      diskGib: 1,
      workers: 0,
      cronThreads: 1,
      databaseConnections: 8,
      replicas: 1,
    },
    image: {
      id: 'odoo-19',
      reference: 'odoo:19',
      odooVersion: '19.0',
      edition: 'community',
      addonsDigest: 'none',
      languages: ['en_US'],
    },
    databaseServer: null,
    modules: [],
    settings: {},
    adminLogin: `owner@shop-${count}.example.com`,
    language: 'en_US',
  };
}

export const fencedBy = (instance: Instance, fence: number): Fenced => ({ instanceId: instance.id, fence });
export const tenantPassword = 'password-of-the-tenant-7731';
/** How `query` runs a statement as a tenant's role. */
export const asTenant = (role: string, database: string) => ({ user: role, password: tenantPassword, database });
export const adminOnePassword = 'password-of-the-administrator-4402';

/** Roles and a claimed or cloned, personalised database for a new instance. */
export async function provision(
  test: TestServer,
  servers: OdooServers,
  template: TemplateKey,
): Promise<{ instance: Instance; database: string; role: string; ownerRole: string }> {
  const instance = someInstance();
  const fenced = fencedBy(instance, 1);
  await servers.databases.takeOver(test.server, fenced);
  await servers.databases.createRoles(test.server, fenced, { password: tenantPassword, connectionLimit: 5 });
  await servers.databases.cloneTemplate(test.server, fenced, template);
  await servers.databases.personalise(test.server, fenced, personalOf(instance));
  const name = `odoo_${instance.id}`;
  return { instance, database: name, role: name, ownerRole: `${name}_owner` };
}

export const personalOf = (instance: Instance) => ({
  instance,
  adminPassword: adminOnePassword,
  baseUrl: `https://${instance.host}`,
});
