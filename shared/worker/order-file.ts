import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import type { WorkerOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';

const text = v.pipe(v.string(), v.minLength(1));
const key = v.pipe(
  v.string(),
  v.base64(),
  v.check((base64) => Buffer.from(base64, 'base64').length === 32, 'is not 32 bytes as base64'),
);
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const manifestReference = v.strictObject({ key: text, sha256 });
const path = v.pipe(text, v.startsWith('/'));

const base = {
  version: v.literal(1),
  instanceId: text,
  operationId: text,
  attempt: v.pipe(v.number(), v.integer(), v.minValue(1)),
  store: v.variant('kind', [
    v.strictObject({ kind: v.literal('directory'), folder: v.pipe(text, v.startsWith('/')) }),
    v.strictObject({
      kind: v.literal('s3'),
      endpoint: v.pipe(v.string(), v.url()),
      region: text,
      bucket: text,
      accessKeyId: text,
      secretAccessKey: text,
    }),
  ]),
  prefix: text,
  resultKey: key,
};
/** How a session on PostgreSQL is written in an order. */
export const databaseSchema = v.strictObject({
  host: text,
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  user: text,
  password: text,
  database: text,
  sslMode: v.picklist(['disable', 'require', 'verify-ca', 'verify-full']),
});
const database = databaseSchema;
const ofBackup = { backupId: text, keys: v.strictObject({ dump: key, files: key }) };

const orderSchema = v.variant('task', [
  v.strictObject({
    ...base,
    ...ofBackup,
    database,
    task: v.literal('backup'),
    filestore: path,
    facts: v.strictObject({
      kind: text,
      customerId: text,
      imageId: text,
      addonsDigest: v.string(),
      previous: v.nullable(text),
    }),
    previousManifest: v.exactOptional(v.nullable(manifestReference)),
  }),
  v.strictObject({ ...base, ...ofBackup, database, task: v.literal('verify'), manifest: manifestReference }),
  v.strictObject({
    ...base,
    ...ofBackup,
    task: v.literal('export'),
    manifest: manifestReference,
    archiveKey: key,
    databaseName: text,
  }),
  v.strictObject({
    ...base,
    task: v.literal('load'),
    source: v.variant('kind', [
      v.strictObject({ kind: v.literal('backup'), instanceId: text, ...ofBackup, manifest: manifestReference }),
      v.strictObject({
        kind: v.literal('odoo-zip'),
        key: text,
        sha256: v.nullable(sha256),
        encryptionKey: v.nullable(key),
        odooVersion: text,
        mostBytes: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
      }),
    ]),
    database,
    filestore: v.strictObject({
      folder: path,
      linkFrom: v.nullable(path),
      left: v.exactOptional(v.array(v.pipe(text, v.regex(/^load_[a-z2-7]{12}_[0-9a-f]{8}_\d+$/)))),
    }),
  }),
  v.strictObject({
    ...base,
    task: v.literal('neutralize'),
    database,
    identity: v.nullable(v.strictObject({ baseUrl: v.pipe(v.string(), v.url()) })),
  }),
  v.strictObject({
    ...base,
    task: v.literal('swap'),
    folders: v.strictObject({ live: path, incoming: path, outgoing: path }),
  }),
  v.strictObject({ ...base, task: v.literal('tidy'), folders: v.array(path) }),
]);

/**
 * The order in the file.
 * @throws Failure `misconfigured` that names the entry that is wrong, and shows no value: the file is full of secrets.
 */
export async function readOrder(file: string): Promise<WorkerOrder> {
  const order = await readOrderFile(file, orderSchema);
  if (!order.prefix.startsWith(`${placeOf(order)}/`)) {
    throw new Failure('misconfigured', `The order ${file} is wrong: its prefix is not one of that task.`);
  }
  return order;
}

/** What is in the file, when it is as the schema wants it. @throws Failure as `readOrder`. */
export async function readOrderFile<Schema extends v.GenericSchema>(
  file: string,
  schema: Schema,
): Promise<v.InferOutput<Schema>> {
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Failure('misconfigured', `The order ${file} cannot be read: is its Secret mounted there?`, { cause });
  });
  const result = v.safeParse(schema, parsed(content, file));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const entry = v.getDotPath(issue) ?? 'it';
  throw new Failure(
    'misconfigured',
    `The order ${file} is wrong: ${entry} is not ${issue.expected ?? 'as it must be'}.`,
  );
}

/** Where the results of a task lie, whichever try it is. */
function placeOf(order: v.InferOutput<typeof orderSchema>): string {
  if (order.task === 'backup') return `backups/${order.instanceId}/${order.backupId}`;
  if (order.task === 'verify') return `verifications/${order.instanceId}/${order.backupId}`;
  const places = { export: 'exports', load: 'loads', neutralize: 'loads', swap: 'swaps', tidy: 'tidies' } as const;
  return `${places[order.task]}/${order.instanceId}/${order.operationId}`;
}

function parsed(content: string, file: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    // the parser's message quotes what it read
    throw new Failure('misconfigured', `The order ${file} is not JSON.`);
  }
}
