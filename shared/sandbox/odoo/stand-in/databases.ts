import { Client, Pool } from 'pg';
import { log } from './log.ts';
import type { Options } from './options.ts';
import { hashPassword, verifyPassword } from './passwords.ts';

/** The process's connections, and what it asks its database. */
export type Databases = {
  pool: Pool;
  /** The databases a visitor may be in, by Odoo's rule. */
  list(): Promise<string[]>;
  /** The user's id, or false. */
  authenticate(database: string, login: string, password: string): Promise<number | false>;
  /** How many records of a model its superuser finds; undefined when it may not ask. */
  countAll(database: string, asking: { user: number; password: string; model: string }): Promise<number | undefined>;
  close(): Promise<void>;
};

export function openDatabases(options: Options): Databases {
  const { connection, database } = options;
  const pool = new Pool({
    ...connection,
    database: database ?? 'postgres',
    max: options.maxConnections,
    application_name: `odoo-${process.pid}`,
    // Odoo keeps its connections for ten minutes
    idleTimeoutMillis: 600_000,
    connectionTimeoutMillis: 10_000,
  });
  pool.on('error', (error) => log('WARNING', database, 'sql', `lost a connection: ${error.message}`));

  return {
    pool,
    list: () => listDatabases(options),
    async authenticate(name, login, password) {
      if (name !== database) throw new Error(`FATAL:  database "${name}" is not served here`);
      return authenticate(pool, login, password);
    },
    async countAll(name, asking) {
      if (name !== database) throw new Error(`FATAL:  database "${name}" is not served here`);
      return countAll(pool, asking);
    },
    close: () => pool.end(),
  };
}

/** A connection to one database, outside the pool. */
export async function connectTo(database: string, options: Options): Promise<Client> {
  const client = new Client({ ...options.connection, database, application_name: `odoo-${process.pid}` });
  client.on('error', (error) => log('WARNING', database, 'sql', `lost a connection: ${error.message}`));
  await client.connect();
  return client;
}

/**
 * `service/db.py`, `list_dbs`: with a filter, the databases that this role *owns* and that match;
 * without one, exactly the database that the configuration names.
 */
async function listDatabases(options: Options): Promise<string[]> {
  if (options.databaseFilter === '') return options.database === undefined ? [] : [options.database];
  const client = await connectTo('postgres', options);
  try {
    const { rows } = await client.query<{ datname: string }>(
      `select datname from pg_database where datdba = (select usesysid from pg_user where usename = current_user)
         and not datistemplate and datallowconn and datname not in ('postgres', 'template0') order by datname`,
    );
    const filter = new RegExp(`^(?:${options.databaseFilter})`);
    return rows.map(({ datname }) => datname).filter((name) => filter.test(name));
  } finally {
    await client.end();
  }
}

async function authenticate(pool: Pool, login: string, password: string): Promise<number | false> {
  const { rows } = await pool.query<{ id: number; password: string | null }>(
    'select id, password from res_users where login = $1 and active',
    [login],
  );
  const user = rows[0];
  if (user?.password == null || password === '') return false;
  const { isRight, isOld } = await verifyPassword(password, user.password);
  if (!isRight) return false;
  if (isOld) {
    await pool.query('update res_users set password = $1 where id = $2', [await hashPassword(password), user.id]);
  }
  return user.id;
}

/** All rows of the model's table: the superuser has no record rules, and archived records are asked for. */
async function countAll(
  pool: Pool,
  { user, password, model }: { user: number; password: string; model: string },
): Promise<number | undefined> {
  const { rows } = await pool.query<{ password: string | null }>(
    'select password from res_users where id = $1 and active',
    [user],
  );
  const hash = rows[0]?.password;
  if (user !== 1 || hash == null || !(await verifyPassword(password, hash)).isRight) return undefined;
  if (!/^[a-z_.]+$/.test(model)) throw new Error(`Object ${model} doesn't exist`);
  const found = await pool.query<{ count: number }>(`select count(*)::int as count from ${model.replaceAll('.', '_')}`);
  return found.rows[0]?.count;
}
