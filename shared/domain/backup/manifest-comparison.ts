import type { BackupManifest, DatabaseContents } from './manifest.ts';

/** What a verification found where the manifest's backup was restored. */
export type RestoredDatabase = {
  contents: DatabaseContents;
  odooVersion: string | null;
  modules: BackupManifest['modules'];
};

/** What is missing, more, or other in the restored database: sentences for a person. Equal databases have none. */
export function databaseDifferences(
  manifest: Pick<BackupManifest, 'contents' | 'odooVersion' | 'modules'>,
  restored: RestoredDatabase,
): string[] {
  const { contents } = manifest;
  const found = restored.contents;
  return [
    ...listDifferences('table', mapOf(contents.tables, rowsOf), mapOf(found.tables, rowsOf), (was, is) => {
      return `has ${is}, the live database had ${was}`;
    }),
    ...listDifferences('core table', mapOf(contents.hashes, hashOf), mapOf(found.hashes, hashOf), () => {
      return 'has as many rows as before or other ones, and their content differs';
    }),
    ...attachmentDifferences(contents.attachments, found.attachments),
    ...largeObjectDifferences(contents.largeObjects, found.largeObjects),
    ...schemaDifferences(contents.schema, found.schema),
    ...listDifferences('extension', mapOf(contents.extensions, nameOf), mapOf(found.extensions, nameOf), () => ''),
    ...(manifest.odooVersion === restored.odooVersion
      ? []
      : [`Odoo's base says version ${restored.odooVersion ?? 'none'}, in the manifest it is ${manifest.odooVersion}.`]),
    ...listDifferences('module', mapOf(manifest.modules, versionOf), mapOf(restored.modules, versionOf), (was, is) => {
      return `has version ${is}, in the manifest it is ${was}`;
    }),
  ];
}

type Named = { name: string } | { table: string };
const rowsOf = ({ rows }: { rows: number }) => `${rows} ${rows === 1 ? 'row' : 'rows'}`;
const hashOf = ({ hash }: { hash: string }) => hash;
const versionOf = ({ version }: { version: string }) => version;
const nameOf = () => '';

function mapOf<One extends Named>(list: readonly One[], valueOf: (one: One) => string): ReadonlyMap<string, string> {
  return new Map(list.map((one) => ['name' in one ? one.name : one.table, valueOf(one)]));
}

function listDifferences(
  what: string,
  expected: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
  told: (was: string, is: string) => string,
): string[] {
  const lost = [...expected].flatMap(([name, was]) => {
    const is = found.get(name);
    if (is === undefined) return [`The ${what} ${name} is missing.`];
    return is === was ? [] : [`The ${what} ${name} ${told(was, is)}.`];
  });
  const more = [...found.keys()].filter((name) => !expected.has(name));
  return [...lost, ...more.map((name) => `The ${what} ${name} is there and is not in the manifest.`)];
}

function attachmentDifferences(
  expected: DatabaseContents['attachments'],
  found: DatabaseContents['attachments'],
): string[] {
  if (expected.count !== found.count || expected.inFiles !== found.inFiles || expected.files !== found.files) {
    return [
      `There are ${found.count} attachments, ${found.inFiles} of them in ${found.files} files; ` +
        `there were ${expected.count}, ${expected.inFiles} of them in ${expected.files} files.`,
    ];
  }
  return expected.hash === found.hash ? [] : ['The attachments name other files, checksums or sizes than they did.'];
}

function largeObjectDifferences(
  expected: DatabaseContents['largeObjects'],
  found: DatabaseContents['largeObjects'],
): string[] {
  if (expected.count !== found.count) {
    return [`There are ${found.count} large objects, there were ${expected.count}.`];
  }
  return expected.hash === found.hash ? [] : ['The content of the large objects differs.'];
}

function schemaDifferences(expected: DatabaseContents['schema'], found: DatabaseContents['schema']): string[] {
  const kinds = Object.keys(expected) as (keyof DatabaseContents['schema'])[];
  return kinds
    .filter((kind) => expected[kind] !== found[kind])
    .map((kind) => `There are ${found[kind]} ${kind}, there were ${expected[kind]}.`);
}
