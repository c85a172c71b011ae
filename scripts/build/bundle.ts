import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { consoleTexts } from './console-texts.ts';
import { apart, modulesCalledLater, modulesLeftOut, nodeModules, packagesApart, partsOfPackages } from './plugins.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** One file of a built function, and how many bytes of it come from where: a package, or `ours`. */
export type BuiltFile = { name: string; bytes: number; sources: Readonly<Record<string, number>>; inputs: string[] };

/** What all bundles have in common. */
export const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // names stay as they are, for stack traces and profiles
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'ascii',
  legalComments: 'none',
  metafile: true,
  logLevel: 'silent',
} as const satisfies BuildOptions;

/**
 * Bundles one function into `folder`: `main.js`, which starts it; `function.js` with its map; and a file for each package
 * that is loaded on demand. @throws Error of esbuild that names what could not be resolved.
 */
export async function bundleFunction(name: string, folder: string): Promise<BuiltFile[]> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  const onDemand = new Set<string>();
  const files = [
    await bundleProgram({ contents: `import './functions/${name}/main.ts';`, isProgram: true }, folder, onDemand),
    await bundleLauncher(folder),
  ];
  for (const name of onDemand) files.push(await bundleApart(name, folder));
  return files;
}

/** The function itself, as a script that evaluates to a function: see launcher.ts. */
export async function bundleProgram(
  program: { contents: string; isProgram: boolean },
  folder: string,
  onDemand = new Set<string>(),
): Promise<BuiltFile> {
  const outfile = join(folder, 'function.js');
  const { metafile } = await build({
    ...common,
    stdin: { contents: program.contents, resolveDir: root },
    outfile,
    sourcemap: 'linked',
    sourcesContent: false,
    define: {
      // a script has no import.meta
      'import.meta.main': String(program.isProgram),
      // undici's word for bundles: they are without its second HTTP parser, which has to be switched on
      esbuildDetection: 'true',
    },
    banner: { js: '(async()=>{"use strict";' },
    footer: { js: '})' },
    plugins: [
      packagesApart((name) => onDemand.add(name), program),
      partsOfPackages(root),
      modulesCalledLater(),
      modulesLeftOut(),
      consoleTexts(),
      nodeModules(),
    ],
  });
  await refuseOtherThanAscii(outfile);
  await nameSourcesFromRoot(`${outfile}.map`);
  return describe(metafile, outfile);
}

export async function bundleLauncher(folder: string): Promise<BuiltFile> {
  const outfile = join(folder, 'main.js');
  const entryPoints = [fileURLToPath(new URL('launcher.ts', import.meta.url))];
  const { metafile } = await build({
    ...common,
    entryPoints,
    outfile,
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [nodeModules()],
  });
  return describe(metafile, outfile);
}

async function bundleApart(name: string, folder: string): Promise<BuiltFile> {
  const { file, exports } = apart[name] ?? { file: '', exports: '' };
  const outfile = join(folder, file);
  const stdin = { contents: exports, resolveDir: root };
  const { metafile } = await build({ ...common, stdin, outfile, plugins: [nodeModules()] });
  return describe(metafile, outfile);
}

/** The launcher reads the bundle at a byte per character. */
async function refuseOtherThanAscii(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = bytes.findIndex((byte) => byte > 0x7f);
  if (at === -1) return;
  const near = bytes.subarray(Math.max(0, at - 60), at + 20).toString();
  throw new Error(`${file} has a character that is not ASCII, near: ${near}\nWrite it as an escape (\\u…).`);
}

/** Sources by their path in the repository, wherever the bundle lies. */
async function nameSourcesFromRoot(file: string): Promise<void> {
  const map = JSON.parse(await readFile(file, 'utf8')) as { sources: string[] };
  map.sources = map.sources.map((source) => relative(root, resolve(file, '..', source)));
  await writeFile(file, JSON.stringify(map));
}

function describe(metafile: Metafile, outfile: string): BuiltFile {
  const output = Object.entries(metafile.outputs).find(([path]) => !path.endsWith('.map'))?.[1];
  if (output === undefined) throw new Error(`esbuild made no ${outfile}`);
  const sources: Record<string, number> = {};
  for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
    const source = packageOf(input);
    sources[source] = (sources[source] ?? 0) + bytesInOutput;
  }
  const inputs = Object.entries(output.inputs).flatMap(([input, { bytesInOutput }]) =>
    bytesInOutput > 0 ? [input] : [],
  );
  return { name: outfile.slice(outfile.lastIndexOf('/') + 1), bytes: output.bytes, sources, inputs };
}

/** `ours` for our own files. */
export function packageOf(input: string): string {
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? 'ours';
}
