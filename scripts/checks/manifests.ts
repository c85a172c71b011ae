import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parse, parseAllDocuments } from 'yaml';
import { catalogue } from '#events/catalogue.ts';
import type { ConfigRow } from '#shared/runtime/config.ts';
import * as rows from '#shared/runtime/rows.ts';
import { readManifests } from '#shared/sandbox/manifests.ts';
import { type Rights, rightsMistakes } from './cluster-rights.ts';
import { componentMistakes } from './component-rules.ts';
import { readComponents } from './components.ts';
import { bouncerClientLimit, type ManifestFacts, manifestMistakes, poolBudget } from './manifest-rules.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const base = join(root, 'knative/base');

const kustomization = v.object({ resources: v.array(v.string()) });

async function readFacts(): Promise<ManifestFacts> {
  const { fallback } = rows.platformDatabase.databasePoolMax;
  const names = await readdir(base, { recursive: true });
  return {
    manifests: await readManifests(base),
    functions: await functionFolders(),
    catalogue,
    files: names.filter((name) => name.endsWith('.yaml')),
    resources: v.parse(kustomization, parse(await readFile(join(base, 'kustomization.yaml'), 'utf8'))).resources,
    defaultPoolMax: v.parse(v.object({ value: v.number() }), fallback).value,
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

/** Environment variables that some function reads. */
function knownSettings(): Set<string> {
  const known = Object.values(rows).flatMap((group) => Object.values<ConfigRow<unknown>>(group));
  return new Set(known.map(({ name, isSecret }) => (isSecret ? `${name}_FILE` : name)));
}

const facts = await readFacts();
const { services, triggers, pingSources } = facts.manifests;
const roles = await readRoles(facts.files);
const components = await readComponents(join(root, 'knative/components'));
const componentFacts = { services, knownSettings: knownSettings() };
const mistakes = [
  ...manifestMistakes(facts),
  ...rightsMistakes(roles),
  ...components.flatMap((component) => componentMistakes(component, componentFacts)),
];
const budget = poolBudget(services, facts.defaultPoolMax);
const sum = budget.reduce((total, { connections }) => total + connections, 0);
const parts = budget.map(({ name, connections }) => `${name} ${connections}`).join(', ');
console.log(
  `${facts.functions.length} functions, ${services.length} Services, ${triggers.length} Triggers, ` +
    `${pingSources.length} PingSource, ${catalogue.length} event types, ${components.length} components`,
);
console.log(`connections to the bouncer at most: ${sum} of ${bouncerClientLimit} (${parts})`);
for (const mistake of mistakes) console.error(mistake);
process.exitCode = mistakes.length === 0 ? 0 : 1;
