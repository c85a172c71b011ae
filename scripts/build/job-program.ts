import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { common } from './bundle.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Bundles the program of a Job into `folder`, as `main.js`: Node 24 runs it with nothing else. A Job starts once and works
 * for long, so its code is neither split nor compiled ahead. The size of `main.js` in bytes.
 */
export async function bundleJobProgram(entryPoint: string, folder: string): Promise<number> {
  const outfile = join(folder, 'main.js');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await build({
    ...common,
    entryPoints: [join(root, entryPoint)],
    outfile,
    sourcemap: 'linked',
    sourcesContent: false,
    external: ['pg-native'],
    // packages that are CommonJS ask for modules of Node by it
    banner: { js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);" },
  });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  return (await stat(outfile)).size;
}
