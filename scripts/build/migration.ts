import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { common } from './bundle.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Bundles the program of the migration Job into `folder`: `main.js`, and the migrations beside it. Node 24 runs it with
 * nothing else.
 */
export async function bundleMigration(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await build({
    ...common,
    entryPoints: [join(root, 'scripts', 'migrate.ts')],
    outfile: join(folder, 'main.js'),
    sourcemap: 'linked',
    sourcesContent: false,
    external: ['pg-native'],
    // packages that are CommonJS ask for modules of Node by it
    banner: { js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);" },
  });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  // where shared/adapters/postgres/migrate.ts looks: beside the file it is in
  await cp(join(root, 'shared', 'adapters', 'postgres', 'migrations'), join(folder, 'migrations'), { recursive: true });
}
