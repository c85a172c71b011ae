import * as v from 'valibot';
import type { BootOrder } from '#shared/domain/backup/boot-order.ts';
import { databaseSchema, readOrderFile } from './order-file.ts';

const text = v.pipe(v.string(), v.minLength(1));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const bootOrderSchema = v.strictObject({
  version: v.literal(1),
  task: v.literal('boot'),
  instanceId: text,
  operationId: text,
  backupId: text,
  database: databaseSchema,
  password: text,
  counts: v.array(v.strictObject({ model: text, rows: count })),
});

/** The order of a Job that starts Odoo on a restored backup. @throws Failure `misconfigured`, as of other orders. */
export async function readBootOrder(file: string): Promise<BootOrder> {
  return await readOrderFile(file, bootOrderSchema);
}
