import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parse, parseAllDocuments } from 'yaml';
import { catalogue } from '#events/catalogue.ts';
import * as backupRows from '#shared/runtime/backup-rows.ts';
import type { ConfigRow } from '#shared/runtime/config.ts';
import * as edgeRows from '#shared/runtime/edge-rows.ts';
import { platformDirect as migrationRows } from '#shared/runtime/platform-direct.ts';
import * as rows from '#shared/runtime/rows.ts';
import { readManifests } from '#shared/sandbox/manifests.ts';
import { builds, checkBuild, unlistedFiles } from './builds.ts';
import { type Rights, rightsMistakes } from './cluster-rights.ts';
import { type ManifestFacts, manifestMistakes } from './manifest-rules.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const knative = join(root, 'knative');
const base = join(knative, 'base');

const kustomization = v.object({ resources: v.array(v.string()) });

/** What the programs do unless they are told otherwise. */
const defaultNumbers = {
  poolMax: defaultOf(rows.platformDatabase.databasePoolMax),
  stepBudgetMs: defaultOf(rows.operations.stepBudgetMs),
  // the time the runtime gives itself beyond its drain
  shutdownMs: defaultOf(rows.serving.drainTimeoutMs) + 5_000,
};

function defaultOf({ fallback }: { fallback?: unknown }): number {
  return v.parse(v.object({ value: v.number() }), fallback).value;
}

async function readFacts(): Promise<ManifestFacts> {
  const names = await readdir(base, { recursive: true });
  return {
    manifests: await readManifests(base),
    functions: await functionFolders(),
    catalogue,
    files: names.filter((name) => name.endsWith('.yaml')),
    resources: v.parse(kustomization, parse(await readFile(join(base, 'kustomization.yaml'), 'utf8'))).resources,
  };
}

const role = v.object({
  kind: v.literal('Role'),
  metadata: v.object({ name: v.string() }),
  rules: v.array(v.object({ resources: v.array(v.string()), verbs: v.array(v.string()) })),
});

/** What the functions' Roles give. The one of the ApiServerSource is Knative's business. */
async function readRoles(files: readonly string[]): Promise<Record<string, Rights>> {
  const roles: Record<string, Rights> = {};
  for (const file of files.filter((name) => name.endsWith('/service-account.yaml'))) {
    for (const document of parseAllDocuments(await readFile(join(base, file), 'utf8'))) {
      const found = v.safeParse(role, document.toJS());
      if (!found.success) continue;
      const rights: Record<string, string[]> = {};
      for (const { resources, verbs } of found.output.rules) {
        for (const resource of resources) rights[resource] = [...(rights[resource] ?? []), ...verbs];
      }
      roles[found.output.metadata.name] = rights as Rights;
    }
  }
  return roles;
}

async function functionFolders(): Promise<string[]> {
  const entries = await readdir(join(root, 'functions'), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  for (const name of folders) {
    // its error names the file
    await access(join(root, 'functions', name, 'main.ts'));
  }
  return folders;
}

/** Environment variables that some program reads. */
function knownSettings(): Set<string> {
  const groups: Record<string, ConfigRow<unknown>>[] = [
    ...Object.values(rows),
    ...Object.values(backupRows),
    ...Object.values(edgeRows),
    migrationRows,
  ];
  const known = groups.flatMap((group) => Object.values(group));
  return new Set(known.map(({ name, isSecret }) => (isSecret ? `${name}_FILE` : name)));
}

const facts = await readFacts();
const mistakes = [...manifestMistakes(facts), ...rightsMistakes(await readRoles(facts.files))];
const { triggers, pingSources } = facts.manifests;
console.log(
  `${facts.functions.length} functions, ${facts.manifests.services.length} Services, ${triggers.length} Triggers, ` +
    `${pingSources.length} PingSource, ${catalogue.length} event types`,
);
// What is wrong in base is so in whatever is built on it: it is said once.
const found = new Map<string, string>();
for (const build of await builds(knative)) {
  const result = checkBuild(build, { knownSettings: knownSettings(), numbers: defaultNumbers });
  console.log(result.line);
  for (const mistake of result.mistakes) if (!found.has(mistake)) found.set(mistake, build.name);
}
mistakes.push(...[...found].map(([mistake, name]) => `${name}: ${mistake}`), ...(await unlistedFiles(knative)));
for (const mistake of mistakes) console.error(mistake);
process.exitCode = mistakes.length === 0 ? 0 : 1;
