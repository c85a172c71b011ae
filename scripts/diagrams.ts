import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { catalogue } from '#events/catalogue.ts';
import { type ProvisionPorts, provisionDefinition } from '#functions/provision/operation.ts';
import { transitions } from '#shared/domain/instance/transitions.ts';

const file = fileURLToPath(new URL('../ARCHITECTURE.md', import.meta.url));

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

/** Puts each generated part between its two marks. @throws Error when a mark is missing. */
function withParts(text: string, parts: Record<string, string>): string {
  return Object.entries(parts).reduce((document, [name, body]) => {
    const pattern = new RegExp(`(<!-- generated: ${name} -->\n)[\\s\\S]*?(\n<!-- end: ${name} -->)`);
    if (!pattern.test(document)) throw new Error(`ARCHITECTURE.md has no place for "${name}".`);
    return document.replace(pattern, (_all, begin: string, end: string) => `${begin}${body}${end}`);
  }, text);
}

const current = await readFile(file, 'utf8');
const wanted = withParts(current, {
  'life of an instance': lifeOfAnInstance(),
  'steps of provisioning': stepsOfProvisioning(),
  events: eventTypes(),
});
if (process.argv.includes('--check')) {
  if (current !== wanted) {
    console.error('ARCHITECTURE.md is out of date. Run: node scripts/diagrams.ts');
    process.exitCode = 1;
  }
} else {
  await writeFile(file, wanted);
}
