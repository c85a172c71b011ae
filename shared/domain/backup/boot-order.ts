import { createHash } from 'node:crypto';
import type { BackupManifest } from './manifest.ts';
import type { DatabaseAccess } from './order.ts';

/** How many rows of a model Odoo has to find. */
export type BootCount = { model: string; rows: number };

/**
 * What the Job does that starts Odoo on a restored backup: an init container makes the database harmless and lets one user
 * in; then Odoo starts beside the container that asks it. None of them knows the object store, or any key of a backup.
 */
export type BootOrder = {
  version: 1;
  task: 'boot';
  instanceId: string;
  operationId: string;
  backupId: string;
  database: DatabaseAccess;
  /** Of Odoo's own superuser in the restored database, for this Job alone. */
  password: string;
  counts: readonly BootCount[];
};

/** The exit code of the container that asks: Odoo did not come up, or found other numbers. Its last line says which. */
export const bootFailed = 4;

/**
 * Models whose `search_count` by Odoo's superuser, archived records included, is the number of rows of their table, in
 * Odoo 17 to 19: none of them has a filter of its own.
 */
const countedModels: Readonly<Record<string, string>> = {
  'res.partner': 'res_partner',
  'res.users': 'res_users',
  'res.company': 'res_company',
  'ir.module.module': 'ir_module_module',
  'product.template': 'product_template',
  'account.move': 'account_move',
  'sale.order': 'sale_order',
  'crm.lead': 'crm_lead',
};

/** What Odoo has to find, as the manifest counted it. */
export function bootCounts({ contents }: Pick<BackupManifest, 'contents'>): BootCount[] {
  const rows = new Map(contents.tables.map((table) => [table.name, table.rows]));
  return Object.entries(countedModels).flatMap(([model, table]) => {
    const count = rows.get(`public.${table}`);
    return count === undefined ? [] : [{ model, rows: count }];
  });
}

/**
 * Is Odoo to be started on this backup? On final ones always; on others when it is asked for, or when the backup's id falls
 * into the sample: the same backup always gets the same answer. Never where the instance has another image by now, whose
 * modules may be others (that would say nothing about the backup), or where there is no Odoo in it.
 */
export function isBootWanted(facts: {
  backup: { id: string; kind: string };
  asked: boolean | undefined;
  percent: number;
  manifest: Pick<BackupManifest, 'odooVersion' | 'imageId'>;
  image: { id: string };
}): boolean {
  const { backup, asked, percent, manifest, image } = facts;
  if (manifest.odooVersion === null || manifest.imageId !== image.id) return false;
  if (backup.kind === 'final') return true;
  if (asked !== undefined) return asked;
  const [first = 0, second = 0] = createHash('sha256').update(`boot ${backup.id}`).digest();
  return ((first << 8) | second) % 100 < percent;
}
