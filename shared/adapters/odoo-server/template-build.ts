import type { Client } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import { templateObjectsRole } from './object-names.ts';
import { closeToPublic } from './ownership.ts';
import { quoteIdentifier } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { createExtensions, isPlainTable, lookInside } from './tenant-schema.ts';
import { batch, inTransaction } from './transaction.ts';

type Build = { building: string; buildRole: string };

/** Lets the build role, and nobody else, create in the database. Repeatable. */
export function prepareBuild(access: ServerAccess, build: Build): Promise<void> {
  const building = quoteIdentifier(build.building);
  const role = quoteIdentifier(build.buildRole);
  return access.unpooled('prepare the template', { database: build.building }, (client) =>
    inTransaction(client, { applicationName: 'fleet-template' }, async () => {
      await createExtensions(client);
      await batch(client, [
        ...closeToPublic(build.building),
        `GRANT CONNECT, TEMPORARY ON DATABASE ${building} TO ${role}`,
        `ALTER SCHEMA public OWNER TO ${role}`,
      ]);
    }),
  );
}

/**
 * Hands all that the build made to the NOLOGIN role, and takes from the build role what it may do here. Repeatable,
 * also after the build role is gone.
 * @throws Failure `job-failed` when Odoo's `base` is not installed, or attachments lie in the Job's own files.
 */
export function finishBuild(access: ServerAccess, build: Build): Promise<void> {
  return access.unpooled('finish the template', { database: build.building }, async (client) => {
    await checkBuild(client, build.building);
    const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [build.buildRole]);
    const role = quoteIdentifier(build.buildRole);
    const objects = quoteIdentifier(templateObjectsRole);
    await inTransaction(client, { applicationName: 'fleet-template' }, () =>
      batch(client, [
        `ALTER SCHEMA public OWNER TO ${objects}`,
        ...(found.rowCount === 0 ? [] : [`REASSIGN OWNED BY ${role} TO ${objects}`, `DROP OWNED BY ${role}`]),
      ]),
    );
    // statistics are copied with a clone, which nobody would analyse before it changes much
    await client.query('ANALYZE');
  });
}

async function checkBuild(client: Client, building: string): Promise<void> {
  const inside = await lookInside(client);
  if (!inside.isInitialised) throw new Failure('job-failed', `Odoo's base is not installed in ${building}`);
  const { rows } = await client.query<{ canCount: boolean }>(
    `SELECT ${isPlainTable('public.ir_attachment')} AND EXISTS (SELECT FROM pg_attribute
       WHERE attrelid = to_regclass('public.ir_attachment') AND attname = 'store_fname') AS "canCount"`,
  );
  if (rows[0]?.canCount !== true) return;
  const { rowCount } = await client.query(
    'SELECT FROM ONLY public.ir_attachment WHERE store_fname IS NOT NULL LIMIT 100',
  );
  if (rowCount !== null && rowCount > 0) {
    throw new Failure(
      'job-failed',
      `${rowCount} attachments of ${building} lie in the file store of the build Job and would be missing in every ` +
        "clone: set ir_attachment.location to 'db' and run force_storage() in the build",
    );
  }
}
