import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleLauncher, bundleProgram } from './bundle.ts';
import { primeFunction } from './primer.ts';

/**
 * Bundles a function together with functions-framework that hosts it, for comparisons: its server without its command
 * line, which finds the function's file and loads it.
 */
export async function bundleHosted(name: string, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  const contents = `import './functions/${name}/main.ts';
    import { getTestServer } from '@google-cloud/functions-framework/testing';
    getTestServer('${name}').listen(Number(process.env.PORT), '127.0.0.1');`;
  await bundleProgram({ contents, isProgram: false }, folder);
  await bundleLauncher(folder);
  await primeFunction(name, folder);
}
