import type { BuiltFile } from './bundle.ts';
import { packageOf } from './bundle.ts';

/** Bytes a file may have. About a tenth above what it was when the number was written. */
const budgets: Readonly<Record<string, number>> = {
  'main.js': 5_000,
  'function.js': 1_250_000,
  'kubeconfig.js': 1_900_000,
  'neon.js': 170_000,
  'otlp-exporter.js': 525_000,
  'otlp-resources.js': 305_000,
  'redis.js': 305_000,
  's3.js': 1_100_000,
};
/** Functions whose own bundle has another budget. */
const ownBudgets: Readonly<Record<string, number>> = {
  'suspension-page': 20_000,
  api: 1_550_000,
  notify: 1_385_000,
  reconcile: 1_400_000,
};

/** Functions that have no business with the cluster of the instances: their Roles give them nothing there. */
const withoutCluster: readonly string[] = [
  'api',
  'billing',
  'billing-webhook',
  'observe',
  'dead-letter',
  'download',
  'suspension-page',
  'webhook',
];

/** What is wrong with the bundle of a function, each with what to do about it. */
export function bundleMistakes(name: string, files: readonly BuiltFile[]): string[] {
  return files.flatMap((file) => [
    ...tooLarge(name, file),
    ...kubernetesCode(name, file),
    ...tracingCode(name, file),
    ...s3Code(name, file),
    ...hostCode(name, file),
  ]);
}

/** The bytes a file of a function may have. */
export function budgetOf(name: string, file: string): number {
  return (file === 'function.js' ? ownBudgets[name] : undefined) ?? budgets[file] ?? 0;
}

function tooLarge(name: string, file: BuiltFile): string[] {
  const budget = budgetOf(name, file.name);
  if (file.bytes <= budget) return [];
  const largest = Object.entries(file.sources).toSorted(([, a], [, b]) => b - a);
  const shares = largest.slice(0, 5).map(([source, bytes]) => `${source} ${kilobytes(bytes)}`);
  return [
    `${name}/${file.name} has ${kilobytes(file.bytes)}, its budget is ${kilobytes(budget)}. Largest: ${shares.join(', ')}. ` +
      'Import less of what grew, or load it on demand (scripts/build/plugins.ts); raise the budget in ' +
      'scripts/build/budget.ts only for code that every start needs.',
  ];
}

/** The client of Kubernetes belongs into `kubeconfig.js`, which is loaded only for a kubeconfig. */
function kubernetesCode(name: string, file: BuiltFile): string[] {
  const client = file.name === 'kubeconfig.js' ? [] : file.inputs.filter((input) => packageOf(input) === clientPackage);
  const mistakes = client
    .slice(0, 1)
    .map(
      (input) =>
        `${name}/${file.name} has code of ${clientPackage} (${input}), which takes 0.3 s to load. Import its types only ` +
        '(import type), and its kubeconfig reader by `await import()`.',
    );
  if (!withoutCluster.includes(name)) return mistakes;
  const adapter = file.inputs.find((input) => input === clusterClient);
  if (adapter === undefined && file.name !== 'kubeconfig.js') return mistakes;
  return [
    ...mistakes,
    `${name}/${file.name} has code for the cluster (${adapter ?? clientPackage}), and ${name} has no business there. ` +
      'Remove the import, or take the function off the list in scripts/build/budget.ts.',
  ];
}

/** Spans are sent only where a collector is configured: OpenTelemetry belongs into files that are loaded then. */
function tracingCode(name: string, file: BuiltFile): string[] {
  if (file.name.startsWith('otlp-')) return [];
  const input = file.inputs.find((one) => packageOf(one).startsWith('@opentelemetry/'));
  if (input === undefined) return [];
  return [
    `${name}/${file.name} has code of ${packageOf(input)} (${input}), and tracing is off unless it is configured. Import ` +
      'its types only (import type), load it by `await import()` as shared/runtime/otlp.ts does, or leave out what never ' +
      'runs (scripts/build/plugins.ts).',
  ];
}

/** Backups may lie in a folder: the SDK of S3 is loaded where they lie in a bucket. */
function s3Code(name: string, file: BuiltFile): string[] {
  if (file.name === 's3.js') return [];
  const input = file.inputs.find((one) => /^@(aws-sdk|smithy)\//.test(packageOf(one)));
  if (input === undefined) return [];
  return [
    `${name}/${file.name} has code of ${packageOf(input)} (${input}), which takes 0.2 s to load. Import its types only ` +
      '(import type), and load it by `await import()` as shared/adapters/objectstore/s3-client.ts does.',
  ];
}

/** A built function hosts itself. */
function hostCode(name: string, file: BuiltFile): string[] {
  const input = file.inputs.find((one) => packageOf(one) === hostPackage);
  if (input === undefined) return [];
  return [
    `${name}/${file.name} has code of ${hostPackage} (${input}). Import it only where shared/runtime/host.ts does.`,
  ];
}

const hostPackage = '@google-cloud/functions-framework';
const clientPackage = '@kubernetes/client-node';
const clusterClient = 'shared/adapters/kubernetes/client.ts';

/** `1,234 kB`, in thousands of bytes. */
export function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1000).toLocaleString('en-US')} kB`;
}
