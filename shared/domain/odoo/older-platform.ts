import * as v from 'valibot';
import type { ImportRequested } from '#events/instance/import.ts';
import { deriveInstanceId } from '../instance/names.ts';

const optionalText = v.optional(v.nullable(v.string()), null);

/** A row of `instances` of the older platform, as `row_to_json` gives it; what it has besides is left alone. */
export const olderInstanceSchema = v.object({
  id: v.pipe(v.string(), v.uuid()),
  customer_id: v.pipe(v.string(), v.uuid()),
  /** Free text, for people. */
  name: v.string(),
  /** `16`, `17`, `17.0`. */
  odoo_version: v.string(),
  status: v.string(),
  admin_email: v.string(),
  subdomain: optionalText,
  database_name: v.string(),
  db_name: optionalText,
  db_host: optionalText,
  db_port: v.optional(v.nullable(v.number()), null),
  cpu_limit: v.optional(v.nullable(v.union([v.number(), v.string()])), null),
  memory_limit: optionalText,
  storage_limit: optionalText,
  custom_addons: v.optional(v.nullable(v.array(v.unknown())), null),
});
export type OlderInstance = v.InferOutput<typeof olderInstanceSchema>;

/** What is offered here. */
export type Offer = {
  plans: readonly { id: string; cpuMillis: number; memoryMib: number; diskGib: number }[];
  /** Those that are active. */
  images: readonly { id: string; odooVersion: string }[];
  /** Names of instances that are taken; those that are given out here are added. */
  names: Set<string>;
};

/** What becomes of a row. */
export type Adoption =
  | {
      outcome: 'import';
      /** Without the archive, which is made of `database` and its folder. */
      request: Omit<ImportRequested, 'from'>;
      database: { host: string | null; port: number; database: string };
      /** What is asked for when the import has succeeded: an import ends with a running instance. */
      afterwards: 'stop' | 'suspend' | null;
    }
  | { outcome: 'skip'; reason: string };

/**
 * Maps a row of the older platform to the request that brings its instance in. Pure; the same row gives the same id, so
 * that a second go finds what the first one did. `paused` was that platform's word for suspended; an instance whose
 * container was missing gets one by being imported.
 */
export function adoptionOf(row: OlderInstance, offer: Offer): Adoption {
  const skip = (reason: string): Adoption => ({ outcome: 'skip', reason });
  if (row.status === 'terminated') return skip('it is terminated');
  if (row.status === 'creating') return skip('it was never finished');
  if ((row.custom_addons ?? []).length > 0) return skip('it has addons of its own: build an image with them first');
  const major = /^(\d{2})(\.\d)?$/.exec(row.odoo_version)?.[1];
  const image = offer.images.find(({ odooVersion }) => major !== undefined && odooVersion.split('.')[0] === major);
  if (image === undefined) return skip(`no active image has Odoo ${row.odoo_version}: upgrade it there first`);
  const plan = planFor(row, offer.plans);
  if (plan === undefined) return skip('no plan is as large as it is');
  const name = nameFor(row, offer.names);
  offer.names.add(name);
  return {
    outcome: 'import',
    request: {
      instance: deriveInstanceId('older-platform', row.id),
      idempotencykey: `older-platform-${row.id}`,
      customer: row.customer_id,
      name,
      plan,
      image: image.id,
      owner: { email: row.admin_email },
    },
    database: { host: row.db_host, port: row.db_port ?? 5432, database: row.db_name ?? row.database_name },
    afterwards: row.status === 'paused' ? 'suspend' : row.status === 'stopped' ? 'stop' : null,
  };
}

/** The smallest plan that has what the row was given. */
function planFor(row: OlderInstance, plans: Offer['plans']): string | undefined {
  const cpuMillis = Math.round(Number(row.cpu_limit ?? 0) * 1_000);
  const memoryMib = mebibytes(row.memory_limit);
  const diskMib = mebibytes(row.storage_limit);
  const fitting = plans.filter((plan) => {
    return plan.cpuMillis >= cpuMillis && plan.memoryMib >= memoryMib && plan.diskGib * 1_024 >= diskMib;
  });
  const bySize = fitting.toSorted(
    (one, other) =>
      one.cpuMillis - other.cpuMillis ||
      one.memoryMib - other.memoryMib ||
      one.diskGib - other.diskGib ||
      (one.id < other.id ? -1 : 1),
  );
  return bySize[0]?.id;
}

/** `512M` and `2G`, as that platform wrote them. */
function mebibytes(text: string | null): number {
  const [, count = '0', unit] = /^(\d+)([MG])/i.exec(text ?? '') ?? [];
  return Number(count) * (unit?.toUpperCase() === 'G' ? 1_024 : 1);
}

/** A DNS label as near to the old one as may be. There it was unique for one customer only. */
function nameFor(row: OlderInstance, taken: ReadonlySet<string>): string {
  const label = (row.subdomain ?? row.database_name)
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  const wanted = (/^[a-z]/.test(label) ? label : `odoo-${label}`).slice(0, 35).replace(/-+$/, '');
  return taken.has(wanted) ? `${wanted}-${row.id.slice(0, 4)}` : wanted;
}
