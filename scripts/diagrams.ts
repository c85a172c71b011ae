import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { catalogue } from '#events/catalogue.ts';
import { backupOperation } from '#functions/backup/operation.ts';
import { type ClonePorts, cloneDefinition } from '#functions/clone/operation.ts';
import { exportOperation } from '#functions/export/operation.ts';
import { type ImportPorts, importDefinition } from '#functions/import/operation.ts';
import { type ProvisionPorts, provisionDefinition } from '#functions/provision/operation.ts';
import { purgeOperation } from '#functions/purge/operation.ts';
import { repairOperation } from '#functions/repair/operation.ts';
import { restartOperation } from '#functions/restart/operation.ts';
import { restoreOperation } from '#functions/restore/operation.ts';
import { resumeOperation } from '#functions/resume/operation.ts';
import { startOperation } from '#functions/start/operation.ts';
import { stopOperation } from '#functions/stop/operation.ts';
import { suspendOperation } from '#functions/suspend/operation.ts';
import { terminateOperation } from '#functions/terminate/operation.ts';
import { undoOperation } from '#functions/undo/operation.ts';
import { verifyOperation } from '#functions/verify/operation.ts';
import { driftPolicies } from '#shared/domain/drift/policy.ts';
import { type Transition, transitions } from '#shared/domain/instance/transitions.ts';
import { operationKinds } from '#shared/domain/operation/operation.ts';
import { relationOf } from '#shared/domain/operation/queueing.ts';
import * as backupSettings from '#shared/runtime/backup-rows.ts';
import type { ConfigRow, ConfigRows } from '#shared/runtime/config.ts';
import * as edgeSettings from '#shared/runtime/edge-rows.ts';
import * as settings from '#shared/runtime/rows.ts';

// The parts of the documents that are written from the code, each between two marks:
// `node scripts/diagrams.ts` writes them, with `--check` it only says whether they are up to date.

/** The life of an instance, as a Mermaid state diagram of the transition table: an arrow per pair of statuses, and the table itself. */
function lifeOfAnInstance(): string {
  const events = Map.groupBy(transitions, ({ from, to }) => `${from} --> ${to}`);
  const arrows = [...events].map(([arrow, rows]) => `  ${arrow}: ${arrowText(rows)}`);
  const table = [...Map.groupBy(transitions, ({ event, guard, to }) => `${event}|${guard ?? ''}|${to}`).values()];
  const lines = table.map((rows) => {
    const [{ event, guard, to }] = rows as [Transition];
    return `| ${rows.map(({ from }) => from).join(', ')} | ${event} | ${guard ?? ''} | ${to} |`;
  });
  return [
    '```mermaid',
    'stateDiagram-v2',
    '  [*] --> creating',
    ...arrows,
    '  terminated --> [*]',
    '```',
    '',
    '| from | event | if | to |',
    '| --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

/** The table below has them all; where many lead the same way the arrow says how many. */
function arrowText(rows: readonly Transition[]): string {
  return rows.length > 2 ? `${rows.length} events` : rows.map(({ event }) => event).join('<br>');
}

type AllPorts = ProvisionPorts &
  ClonePorts &
  ImportPorts &
  Parameters<typeof purgeOperation>[0] &
  Parameters<typeof backupOperation>[0] &
  Parameters<typeof verifyOperation>[0] &
  Parameters<typeof restoreOperation>[0] &
  Parameters<typeof exportOperation>[0];

/** Steps of each operation. Making them touches no port: only their names are read. */
function stepsOfOperations(): string {
  const ports = {} as AllPorts;
  const definitions = [
    provisionDefinition(ports),
    cloneDefinition(ports),
    importDefinition(ports),
    ...[
      startOperation(ports),
      stopOperation(ports),
      restartOperation(ports),
      suspendOperation(ports),
      resumeOperation(ports),
      terminateOperation(ports),
      undoOperation(ports),
      purgeOperation(ports),
      repairOperation(ports),
      backupOperation(ports),
      verifyOperation(ports),
      restoreOperation(ports),
      exportOperation(ports),
    ].map(({ definition }) => definition),
  ];
  const ordered = definitions.toSorted(
    (one, other) => operationKinds.indexOf(one.kind) - operationKinds.indexOf(other.kind),
  );
  const lines = ordered.map(({ kind, steps, deadlineMs }) => {
    return `| ${kind} | ${steps.map(({ name }) => name).join(' → ')} | ${deadlineMs / 60_000} min |`;
  });
  return ['| operation | steps | deadline |', '| --- | --- | --- |', ...lines].join('\n');
}

/** Requested kind (row) over an unfinished kind (column). */
function kindsAndKinds(): string {
  const head = `| asked for | ${operationKinds.join(' | ')} |`;
  const rows = operationKinds.map((asked) => {
    return `| **${asked}** | ${operationKinds.map((other) => relationOf(asked, other)).join(' | ')} |`;
  });
  return [head, `| --- |${operationKinds.map(() => ' --- |').join('')}`, ...rows].join('\n');
}

function driftTable(): string {
  const rows = Object.entries(driftPolicies).map(
    ([kind, { policy, severity, what }]) => `| \`${kind}\` | ${policy} | ${severity} | ${what} |`,
  );
  return ['| drift | policy | severity | what it means |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function eventTypes(): string {
  return catalogue.map(({ type, direction, summary }) => `- \`${type}\` (${direction}): ${summary}`).join('\n');
}

/** Every setting of the functions, a table per group. */
function settingsTables(): string {
  const groups = Object.entries({ ...settings, ...backupSettings, ...edgeSettings } as Record<string, ConfigRows>);
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
    'steps of operations': stepsOfOperations(),
    'kinds and kinds': kindsAndKinds(),
    events: eventTypes(),
  },
  'README.md': { settings: settingsTables(), drift: driftTable() },
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
