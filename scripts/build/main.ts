import { join, relative, resolve } from 'node:path';
import { kilobytes } from './budget.ts';
import { type BuiltFunction, buildFunctions, distFolder, functionNames } from './build.ts';
import { bundleMigration } from './migration.ts';
import { type BuildCommand, readOptions, usage } from './options.ts';
import { bundleWorker } from './worker.ts';

/** The programs of Jobs, by what builds them; no function is called so. What is wrong with one, each with what to do. */
const jobPrograms: Readonly<Record<string, (folder: string) => Promise<readonly string[]>>> = {
  async migrate(folder) {
    await bundleMigration(folder);
    return [];
  },
  worker: bundleWorker,
};

async function main(command: BuildCommand): Promise<number> {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort()).once('SIGTERM', () => interrupt.abort());
  const progress = command.json ? process.stderr : process.stdout;
  const outFolder = command.folder === undefined ? distFolder : resolve(command.folder);
  const isAll = command.names.length === 0;
  const names = isAll ? await functionNames() : command.names.filter((name) => jobPrograms[name] === undefined);
  const mistakes: string[] = [];
  let built: BuiltFunction[];
  try {
    built = await buildFunctions(names, {
      outFolder,
      isPrimed: command.isPrimed,
      signal: interrupt.signal,
      onBuilt: (one) => void progress.write(`${lineOf(one)}\n`),
    });
    for (const [name, bundle] of Object.entries(jobPrograms)) {
      if (!isAll && !command.names.includes(name)) continue;
      mistakes.push(...(await bundle(join(outFolder, name))));
      progress.write(`${name}\n`);
    }
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    throw error;
  }
  mistakes.push(...built.flatMap((one) => one.mistakes));
  for (const mistake of mistakes) process.stderr.write(`${mistake}\n`);
  progress.write(`${built.length} functions in ${relative(process.cwd(), outFolder) || '.'}\n`);
  if (command.json) process.stdout.write(`${JSON.stringify(built.map(shownAsJson), null, 2)}\n`);
  return mistakes.length === 0 ? 0 : 1;
}

function lineOf({ name, files, cacheBytes, seconds }: BuiltFunction): string {
  const sizes = files.map((file) => `${file.name} ${kilobytes(file.bytes)}`);
  if (cacheBytes !== undefined) sizes.push(`function.cache ${kilobytes(cacheBytes)}`);
  return `${name.padEnd(16)} ${seconds.toFixed(1)} s  ${sizes.join(', ')}`;
}

/** Without the long lists of source files. */
function shownAsJson({ files, ...rest }: BuiltFunction): object {
  return { ...rest, files: files.map(({ name, bytes, sources }) => ({ name, bytes, sources })) };
}

function commandLine(): BuildCommand | 'help' | 'wrong' {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\nSee npm run build -- --help\n`);
    return 'wrong';
  }
}

const command = commandLine();
if (command === 'help') process.stdout.write(usage);
else if (command === 'wrong') process.exitCode = 2;
else {
  try {
    process.exitCode = await main(command);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof TypeError ? 2 : 1;
  }
}
