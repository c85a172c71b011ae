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
const manifestReference = v.strictObject({ key: text, sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) });

const base = {
  version: v.literal(1),
  instanceId: text,
  operationId: text,
  attempt: v.pipe(v.number(), v.integer(), v.minValue(1)),
  backupId: text,
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
  database: v.strictObject({
    host: text,
    port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
    user: text,
    password: text,
    database: text,
    sslMode: v.picklist(['disable', 'require', 'verify-ca', 'verify-full']),
  }),
  keys: v.strictObject({ dump: key, files: key }),
};

const orderSchema = v.variant('task', [
  v.strictObject({
    ...base,
    task: v.literal('backup'),
    filestore: v.pipe(text, v.startsWith('/')),
    facts: v.strictObject({
      kind: text,
      customerId: text,
      imageId: text,
      addonsDigest: v.string(),
      previous: v.nullable(text),
    }),
    previousManifest: v.exactOptional(v.nullable(manifestReference)),
  }),
  v.strictObject({ ...base, task: v.literal('verify'), manifest: manifestReference }),
]);

/**
 * The order in the file.
 * @throws Failure `misconfigured` that names the entry that is wrong, and shows no value: the file is full of secrets.
 */
export async function readOrder(file: string): Promise<WorkerOrder> {
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Failure('misconfigured', `The order ${file} cannot be read: is its Secret mounted there?`, { cause });
  });
  const result = v.safeParse(orderSchema, parsed(content, file));
  if (!result.success) {
    const [issue] = result.issues;
    const entry = v.getDotPath(issue) ?? 'it';
    throw new Failure(
      'misconfigured',
      `The order ${file} is wrong: ${entry} is not ${issue.expected ?? 'as it must be'}.`,
    );
  }
  const order = result.output;
  const above = order.task === 'backup' ? 'backups' : 'verifications';
  if (!order.prefix.startsWith(`${above}/${order.instanceId}/${order.backupId}/`)) {
    throw new Failure('misconfigured', `The order ${file} is wrong: its prefix is not one of that backup.`);
  }
  return order;
}

function parsed(content: string, file: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    // the parser's message quotes what it read
    throw new Failure('misconfigured', `The order ${file} is not JSON.`);
  }
}
