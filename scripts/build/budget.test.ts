import { expect, it } from 'vitest';
import { budgetOf, bundleMistakes } from './budget.ts';
import { type BuiltFile, packageOf } from './bundle.ts';

const file = (changes: Partial<BuiltFile> = {}): BuiltFile => ({
  name: 'function.js',
  bytes: 1_000,
  sources: { ours: 600, pg: 400 },
  inputs: ['functions/stop/main.ts', 'shared/adapters/kubernetes/client.ts', 'node_modules/pg/lib/index.js'],
  ...changes,
});

it('finds nothing wrong with a bundle within its budget', () => {
  expect(bundleMistakes('stop', [file()])).toEqual([]);
});

it('names the budget, what is largest and what to do when a bundle is over it', () => {
  const bytes = budgetOf('stop', 'function.js') + 1;
  const [mistake, ...others] = bundleMistakes('stop', [file({ bytes })]);
  expect(others).toEqual([]);
  expect(mistake).toMatch(
    /stop\/function\.js has 1,250 kB, its budget is 1,250 kB\. Largest: ours 1 kB, pg 0 kB\. Import less/,
  );
});

it('gives the suspension page, which has no libraries, a small budget of its own', () => {
  expect(budgetOf('suspension-page', 'function.js')).toBeLessThan(50_000);
});

it('gives a file that nobody has thought of no budget', () => {
  expect(bundleMistakes('stop', [file({ name: 'other.js' })])).toHaveLength(1);
});

it('refuses the client of Kubernetes in the bundle itself, and takes it in the file that is loaded on demand', () => {
  const inputs = ['node_modules/@kubernetes/client-node/dist/config.js'];
  expect(bundleMistakes('stop', [file({ inputs })])[0]).toMatch(
    /has code of @kubernetes\/client-node .* `await import/,
  );
  expect(bundleMistakes('stop', [file({ name: 'kubeconfig.js', inputs })])).toEqual([]);
});

it.each(['function.js', 'kubeconfig.js'])(
  'refuses %s with code for the cluster in a function that has no business there',
  (name) => {
    const [mistake] = bundleMistakes('billing', [file({ name })]);
    expect(mistake).toMatch(/billing has no business there/);
  },
);

it('refuses OpenTelemetry in the bundle itself, and takes it in the files that are loaded when tracing is on', () => {
  const inputs = ['functions/stop/main.ts', 'node_modules/@opentelemetry/core/build/src/index.js'];
  const [mistake, ...others] = bundleMistakes('stop', [file({ inputs })]);
  expect(others).toEqual([]);
  expect(mistake).toMatch(
    /stop\/function\.js has code of @opentelemetry\/core \(node_modules\/.*tracing is off unless/,
  );
  expect(bundleMistakes('stop', [file({ name: 'otlp-exporter.js', inputs })])).toEqual([]);
});

it('refuses the SDK of S3 in the bundle itself, and takes it in the file that is loaded for a bucket', () => {
  const inputs = ['functions/backup/main.ts', 'node_modules/@smithy/core/dist-es/index.js'];
  const [mistake, ...others] = bundleMistakes('backup', [file({ inputs })]);
  expect(others).toEqual([]);
  expect(mistake).toMatch(/backup\/function\.js has code of @smithy\/core \(node_modules\/.*`await import/);
  expect(bundleMistakes('backup', [file({ name: 's3.js', inputs })])).toEqual([]);
});

it('refuses the framework that hosts functions elsewhere', () => {
  const inputs = ['node_modules/@google-cloud/functions-framework/build/src/index.js'];
  expect(bundleMistakes('stop', [file({ inputs })])[0]).toMatch(/has code of @google-cloud\/functions-framework/);
});

it('knows the package of a source by its innermost node_modules', () => {
  expect(packageOf('node_modules/a/node_modules/@b/c/d.js')).toBe('@b/c');
  expect(packageOf('shared/domain/failure.ts')).toBe('ours');
});
