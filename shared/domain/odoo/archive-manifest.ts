import * as v from 'valibot';
import { Failure } from '../failure.ts';

/**
 * `manifest.json` of an archive of Odoo's database manager (odoo/service/db.py, `dump_db_manifest`): Odoo 11 to 19 write
 * and read the same. `version_info` is Python's `odoo.release.version_info`.
 */
export type ArchiveManifest = {
  odoo_dump: '1';
  db_name: string;
  version: string;
  version_info: readonly (string | number)[];
  major_version: string;
  pg_version: string;
  /** Name to version of those installed. */
  modules: Readonly<Record<string, string>>;
};

const schema = v.looseObject({
  odoo_dump: v.literal('1'),
  db_name: v.optional(v.string(), ''),
  version: v.string(),
  major_version: v.pipe(v.string(), v.regex(/^(saas[~-])?\d{1,3}\.\d{1,2}$/)),
  pg_version: v.optional(v.string(), ''),
  modules: v.record(v.string(), v.nullable(v.string())),
});

/**
 * The manifest of an archive of ours.
 * @throws Failure `not-allowed` when there is no Odoo in the backup: `odooVersion` is the version of its module `base`.
 */
export function archiveManifest(backup: {
  databaseName: string;
  odooVersion: string | null;
  modules: readonly { name: string; version: string }[];
  postgresMajor: number;
}): ArchiveManifest {
  const major = odooMajorOf(backup.odooVersion ?? '');
  if (major === undefined) {
    throw new Failure('not-allowed', 'There is no Odoo in this backup: it cannot be exported in Odoo’s format.');
  }
  const [first = 0, second = 0] = major.split('.').map(Number);
  return {
    odoo_dump: '1',
    db_name: backup.databaseName,
    version: major,
    version_info: [first, second, 0, 'final', 0, ''],
    major_version: major,
    pg_version: `${backup.postgresMajor}.0`,
    modules: Object.fromEntries(backup.modules.map(({ name, version }) => [name, version])),
  };
}

/**
 * What somebody else's archive says of itself.
 * @throws Failure `invalid-request` when this is not a manifest of Odoo's.
 */
export function parseArchiveManifest(bytes: Uint8Array): { majorVersion: string; modules: readonly string[] } {
  const result = v.safeParse(schema, jsonOf(bytes));
  if (!result.success) {
    const entry = v.getDotPath(result.issues[0]) ?? 'it';
    const text = `The manifest.json of the archive is not one of Odoo’s: ${entry} is missing or of another kind.`;
    throw new Failure('invalid-request', text);
  }
  return { majorVersion: result.output.major_version, modules: Object.keys(result.output.modules).toSorted() };
}

/** `19.0` of `19.0.1.3`, as modules have their versions; undefined for what is none of these. */
export function odooMajorOf(version: string): string | undefined {
  return /^(\d{1,3}\.\d{1,2})(\.|$)/.exec(version)?.[1];
}

/** @throws Failure `invalid-request` that says both, when an archive is of another Odoo than it is to run on. */
export function checkOdooMajor(found: string | null, wanted: string): void {
  if (found !== null && odooMajorOf(found) === odooMajorOf(wanted)) return;
  const has = found === null ? 'no Odoo' : `Odoo ${odooMajorOf(found) ?? found}`;
  const text = `The archive holds ${has}; the image runs Odoo ${odooMajorOf(wanted) ?? wanted}. Upgrade it elsewhere first, or choose an image of that version.`;
  throw new Failure('invalid-request', text);
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // the schema refuses it
  }
}
