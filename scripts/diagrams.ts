import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { catalogue } from '#events/catalogue.ts';
import { type ProvisionPorts, provisionDefinition } from '#functions/provision/operation.ts';
import { transitions } from '#shared/domain/instance/transitions.ts';
import type { ConfigRow, ConfigRows } from '#shared/runtime/config.ts';
import * as settings from '#shared/runtime/rows.ts';

// The parts of the documents that are written from the code, each between two marks:
// `node scripts/diagrams.ts` writes them, with `--check` it only says whether they are up to date.

/** The life of an instance, as a Mermaid state diagram of the transition table. */
function lifeOfAnInstance(): string {
  const rows = transitions.map(({ from, event, to }) => `  ${from} --> ${to}: ${event}`);
  return ['```mermaid', 'stateDiagram-v2', '  [*] --> creating', ...rows, '  terminated --> [*]', '```'].join('\n');
}

function stepsOfProvisioning(): string {
  // Making the steps touches no port: only their names are read.
  const { steps } = provisionDefinition({} as ProvisionPorts);
  const boxes = steps.map(({ name }) => name).join(' --> ');
  return ['```mermaid', 'flowchart LR', `  ${boxes}`, '```'].join('\n');
}

function eventTypes(): string {
  return catalogue.map(({ type, direction, summary }) => `- \`${type}\` (${direction}): ${summary}`).join('\n');
}

/** Every setting of the functions, a table per group. */
function settingsTables(): string {
  const groups = Object.entries(settings as Record<string, ConfigRows>);
  return groups.map(([group, rows]) => settingsTable(group, Object.values(rows))).join('\n\n');
}

function settingsTable(group: string, rows: readonly ConfigRow<unknown>[]): string {
  const lines = rows.map((one) => {
    const names = [one.isSecret ? `${one.name}_FILE` : one.name, ...one.alsoNamed].map((name) => `\`${name}\``);
    const wanted = one.isSecret ? 'path of a file with the secret' : one.reader.wanted;
    return `| ${names.join(' or ')} | ${one.summary} | ${wanted} | ${fallbackText(one)} |`;
  });
  return [`**${group}**`, '', '| variable | meaning | value | default |', '| --- | --- | --- | --- |', ...lines].join(
    '\n',
  );
}

function fallbackText({ fallback }: ConfigRow<unknown>): string {
  if (fallback === 'required') return 'required';
  return fallback.value === undefined ? '' : `\`${String(fallback.value as string | number | boolean)}\``;
}

/** Puts each generated part between its two marks. @throws Error when a mark is missing. */
function withParts(file: string, text: string, parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts).reduce((document, [name, body]) => {
    const pattern = new RegExp(`(<!-- generated: ${name} -->\n)[\\s\\S]*?(<!-- end: ${name} -->)`);
    if (!pattern.test(document)) throw new Error(`${file} has no place for "${name}".`);
    return document.replace(pattern, (_all, begin: string, end: string) => `${begin}${body}\n${end}`);
  }, text);
}

const documents: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'ARCHITECTURE.md': {
    'life of an instance': lifeOfAnInstance(),
    'steps of provisioning': stepsOfProvisioning(),
    events: eventTypes(),
  },
  'README.md': { settings: settingsTables() },
};

for (const [file, parts] of Object.entries(documents)) {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  const current = await readFile(path, 'utf8');
  const wanted = withParts(file, current, parts);
  if (current === wanted) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file} is out of date. Run: node scripts/diagrams.ts`);
    process.exitCode = 1;
  } else {
    await writeFile(path, wanted);
  }
}
