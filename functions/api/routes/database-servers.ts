import * as v from 'valibot';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { Failure } from '#shared/domain/failure.ts';
import { listOf, listQuery, readPage, wordsOf } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { idText, time } from '../schemas.ts';

const statuses = ['active', 'maintenance', 'error'] as const;
const purposes = ['tenants', 'verification'] as const;
const whole = v.pipe(v.number(), v.integer());

const serverBody = v.strictObject({
  id: idText,
  host: v.string(),
  port: whole,
  purpose: v.picklist(purposes),
  status: v.picklist(statuses),
  instances: whole,
  maxInstances: whole,
  /** Servers with a lower one are filled first. */
  priority: whole,
  sslMode: v.picklist(['disable', 'require', 'verify-full']),
  /** Null: never reached with its password, so nothing is placed on it. */
  reachedAt: v.nullable(time),
  /** PostgreSQL's `server_version_num`. */
  serverVersion: v.nullable(whole),
  backupSlots: whole,
  createdAt: time,
});

const example: v.InferOutput<typeof serverBody> = {
  id: 'pg-1',
  host: 'pg-1.internal.example',
  port: 5432,
  purpose: 'tenants',
  status: 'active',
  instances: 31,
  maxInstances: 50,
  priority: 100,
  sslMode: 'verify-full',
  reachedAt: '2027-02-02T03:00:00.000Z',
  serverVersion: 170002,
  backupSlots: 2,
  createdAt: '2027-01-01T00:00:00.000Z',
};

type ServerRow = Omit<Row<'db_servers'>, 'admin_user' | 'secret_key'>;
const columns = `d.id, d.host, d.port, d.purpose, d.status, d.instance_count, d.max_instances, d.priority, d.ssl_mode, d.reached_at,
  d.server_version, d.backup_slots, d.created_at`;

const toBody = (row: ServerRow) => ({
  id: row.id,
  host: row.host,
  port: row.port,
  purpose: row.purpose,
  status: row.status,
  instances: row.instance_count,
  maxInstances: row.max_instances,
  priority: row.priority,
  sslMode: row.ssl_mode,
  reachedAt: row.reached_at,
  serverVersion: row.server_version,
  backupSlots: row.backup_slots,
  createdAt: row.created_at,
});

export function databaseServerRoutes(ports: Pick<ApiPorts, 'database'>): Route[] {
  return [listServers(ports), getServer(ports)];
}

function listServers({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/db-servers',
    operationId: 'listDatabaseServers',
    summary: 'The PostgreSQL servers of the instances, and how full they are.',
    scope: 'admin:read',
    limit: 'read',
    query: v.strictObject({
      ...listQuery(['id', 'createdAt']),
      status: v.optional(wordsOf(statuses)),
      purpose: v.optional(v.picklist(purposes)),
    }),
    fields: { of: 'items', names: Object.keys(serverBody.entries) },
    responses: {
      200: {
        description: 'A page of servers.',
        schema: listOf(serverBody),
        example: { items: [example], next: null },
      },
    },
    async handle({ query }) {
      const { rows, ...page } = await readPage<ServerRow>(
        database,
        {
          columns,
          from: 'db_servers d',
          conditions: [
            ['d.status = any($)', query.status],
            ['d.purpose = $', query.purpose],
          ],
          sorts: {
            id: { sql: 'd.id', type: 'text' },
            createdAt: { sql: 'd.created_at', type: 'timestamptz' },
          },
          id: { sql: 'd.id', type: 'text' },
        },
        query,
      );
      return { status: 200, body: { items: rows.map(toBody), ...page } };
    },
  });
}

function getServer({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/db-servers/{id}',
    operationId: 'getDatabaseServer',
    summary: 'One PostgreSQL server of the instances.',
    scope: 'admin:read',
    limit: 'read',
    params: v.strictObject({ id: idText }),
    fields: { of: 'body', names: Object.keys(serverBody.entries) },
    responses: { 200: { description: 'The server.', schema: serverBody, example } },
    async handle({ params }) {
      const { rows } = await database.query<ServerRow>(`select ${columns} from db_servers d where d.id = $1`, [
        params.id,
      ]);
      const [row] = rows;
      if (row === undefined)
        throw new Failure('not-found', 'There is no such server.', { facts: { field: 'path.id' } });
      return { status: 200, body: toBody(row) };
    },
  });
}
