import * as v from 'valibot';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { backupKinds } from '#shared/domain/backup/backup.ts';
import { Failure } from '#shared/domain/failure.ts';
import { listOf, listQuery, readPage, wordsOf } from '../listing.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';
import { idText, instanceId, time, uuidText } from '../schemas.ts';
import { errorBody } from '../views/operation.ts';

const states = ['running', 'succeeded', 'failed', 'deleting', 'deleted'] as const;
const proofs = ['none', 'proven', 'refuted'] as const;
const count = v.pipe(v.number(), v.integer());

const backupBody = v.strictObject({
  id: uuidText,
  instanceId,
  customerId: idText,
  kind: v.picklist(backupKinds),
  state: v.picklist(states),
  startedAt: time,
  finishedAt: v.nullable(time),
  /** The moment whose state it holds. */
  snapshotAt: v.nullable(time),
  sizes: v.nullable(v.strictObject({ dumpBytes: count, filesBytes: count, filesCount: count, uploadedBytes: count })),
  /** Facts of its manifest, such as the version of Odoo. */
  summary: v.record(v.string(), v.unknown()),
  proof: v.strictObject({
    state: v.picklist(proofs),
    at: v.nullable(time),
    text: v.nullable(v.string()),
    odooBooted: v.boolean(),
  }),
  /** It is the newest of its instance that was restored and compared. */
  isLastProven: v.boolean(),
  error: errorBody,
  keepUntil: v.nullable(time),
  lockedUntil: v.nullable(time),
  deletedAt: v.nullable(time),
  deleteReason: v.nullable(v.string()),
});

const example: v.InferOutput<typeof backupBody> = {
  id: '0198c0de-0000-7000-8000-000000000001',
  instanceId: 'abcdefghijkl',
  customerId: 'c-1',
  kind: 'scheduled',
  state: 'succeeded',
  startedAt: '2027-02-02T02:00:00.000Z',
  finishedAt: '2027-02-02T02:03:10.000Z',
  snapshotAt: '2027-02-02T02:00:01.000Z',
  sizes: { dumpBytes: 20971520, filesBytes: 104857600, filesCount: 812, uploadedBytes: 1048576 },
  summary: { odooVersion: '19.0' },
  proof: { state: 'proven', at: '2027-02-02T03:00:00.000Z', text: null, odooBooted: true },
  isLastProven: true,
  error: null,
  keepUntil: '2027-03-04T02:00:00.000Z',
  lockedUntil: null,
  deletedAt: null,
  deleteReason: null,
};

const query = v.strictObject({
  ...listQuery(['startedAt']),
  instance: v.optional(instanceId),
  customer: v.optional(idText),
  state: v.optional(wordsOf(states)),
  proof: v.optional(wordsOf(proofs)),
  kind: v.optional(wordsOf(backupKinds)),
});

type BackupRow = Omit<Row<'backups'>, 'dump_key' | 'manifest_key' | 'manifest_sha256'> & { is_last_proven: boolean };

// without its wrapped key and its place in the store, which are nobody's business
const columns = `b.id, b.instance_id, b.customer_id, b.kind, b.state, b.started_at, b.finished_at, b.snapshot_at, b.summary,
  b.dump_bytes, b.files_bytes, b.files_count, b.uploaded_bytes, b.error_code, b.error_text, b.proof, b.proof_at, b.proof_text,
  b.odoo_booted, b.keep_until, b.locked_until, b.deleted_at, b.delete_reason,
  coalesce(b.id = (
    select p.id from backups p where p.instance_id = b.instance_id and p.state = 'succeeded' and p.proof = 'proven'
    order by p.snapshot_at desc limit 1
  ), false) as is_last_proven`;

function toBody(row: BackupRow) {
  return {
    id: row.id,
    instanceId: row.instance_id,
    customerId: row.customer_id,
    kind: row.kind,
    state: row.state,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    snapshotAt: row.snapshot_at,
    sizes:
      row.dump_bytes === null
        ? null
        : {
            dumpBytes: row.dump_bytes,
            filesBytes: row.files_bytes ?? 0,
            filesCount: row.files_count ?? 0,
            uploadedBytes: row.uploaded_bytes ?? 0,
          },
    summary: row.summary,
    proof: { state: row.proof, at: row.proof_at, text: row.proof_text, odooBooted: row.odoo_booted },
    isLastProven: row.is_last_proven,
    error: row.error_code === null ? null : { code: row.error_code, text: row.error_text ?? '' },
    keepUntil: row.keep_until,
    lockedUntil: row.locked_until,
    deletedAt: row.deleted_at,
    deleteReason: row.delete_reason,
  };
}

export function backupRoutes(ports: Pick<ApiPorts, 'database'>): Route[] {
  return [listBackups(ports), getBackup(ports)];
}

function listBackups({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/backups',
    operationId: 'listBackups',
    summary: 'Backups, each with whether it was proven by a restore.',
    scope: 'backups:read',
    limit: 'read',
    query,
    fields: { of: 'items', names: Object.keys(backupBody.entries) },
    responses: {
      200: {
        description: 'A page of backups, newest first unless sorted otherwise.',
        schema: listOf(backupBody),
        example: { items: [example], next: null },
      },
    },
    async handle({ query: asked, principal }) {
      const { rows, ...page } = await readPage<BackupRow>(
        database,
        {
          columns,
          from: 'backups b join instances i on i.id = b.instance_id',
          conditions: [
            ['$::text is null or i.customer_id = $', principal.customerId],
            ['b.instance_id = $', asked.instance],
            ['i.customer_id = $', asked.customer],
            ['b.state = any($)', asked.state],
            ['b.proof = any($)', asked.proof],
            ['b.kind = any($)', asked.kind],
          ],
          sorts: { startedAt: { sql: 'b.started_at', type: 'timestamptz' } },
          id: { sql: 'b.id', type: 'uuid' },
        },
        asked,
      );
      return { status: 200, body: { items: rows.map(toBody), ...page } };
    },
  });
}

function getBackup({ database }: Pick<ApiPorts, 'database'>): Route {
  return route({
    method: 'GET',
    path: '/v1/backups/{id}',
    operationId: 'getBackup',
    summary: 'One backup.',
    scope: 'backups:read',
    limit: 'read',
    params: v.strictObject({ id: uuidText }),
    fields: { of: 'body', names: Object.keys(backupBody.entries) },
    responses: { 200: { description: 'The backup.', schema: backupBody, example } },
    async handle({ params, principal }) {
      const { rows } = await database.query<BackupRow>(
        `select ${columns} from backups b join instances i on i.id = b.instance_id
         where b.id = $1 and ($2::text is null or i.customer_id = $2)`,
        [params.id, principal.customerId],
      );
      const [row] = rows;
      if (row === undefined)
        throw new Failure('not-found', 'There is no such backup.', { facts: { field: 'path.id' } });
      return { status: 200, body: toBody(row) };
    },
  });
}
