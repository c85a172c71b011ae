import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleJobProgram } from './job-program.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Bundles the program of the migration Job into `folder`: `main.js`, and the migrations beside it. */
export async function bundleMigration(folder: string): Promise<void> {
  await bundleJobProgram(join('scripts', 'migrate.ts'), folder);
  await copyMigrations(folder);
}

/** Puts the migrations where the programs that read them look: beside the file they are in. */
export async function copyMigrations(folder: string): Promise<void> {
  await cp(join(root, 'shared', 'adapters', 'postgres', 'migrations'), join(folder, 'migrations'), { recursive: true });
}
