import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openObjectStore } from '#shared/adapters/objectstore/open.ts';
import { bootFailed } from '#shared/domain/backup/boot-order.ts';
import type { WorkerOrder } from '#shared/domain/backup/order.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { backUp } from './backup.ts';
import { checkBoot, prepareBoot } from './boot.ts';
import { readBootOrder } from './boot-order-file.ts';
import { exportBackup } from './export.ts';
import { load } from './load.ts';
import { neutralizeLoaded } from './neutralize-loaded.ts';
import { readOrder } from './order-file.ts';
import { swap } from './swap.ts';
import type { TaskContext } from './task.ts';
import { tidy } from './tidy.ts';
import { verify } from './verify.ts';

const help = `Usage: node main.js ORDER_FILE [prepare-boot | check-boot ADDRESS] | --help

Carries out the order of one Job: makes a backup of an instance, restores one into an empty database and compares it
with its manifest, loads one beside a live instance and exchanges their folders, makes a copy harmless, or makes a zip of
one in Odoo's own format. The order is a JSON file, which a Secret mounts; nothing is taken from the environment but PATH, TMPDIR
(a folder for a file with a password, which is removed at the end) and NODE_EXTRA_CA_CERTS. It needs pg_dump or pg_restore, of the server's
major version or newer, and zstd.

prepare-boot and check-boot are for the order of a Job that starts Odoo on a restored backup: the one makes the database
harmless, the other asks the Odoo at ADDRESS. Neither writes a result.

Exit code: 0 the result is in the object store, 1 failed (the last line of stderr says why), 2 called wrongly,
143 ended by SIGTERM, ${bootFailed} Odoo does not run as it should (the last line says why). A verification that finds a backup wrong has a result, too: exit code 0.
`;

/** SIGKILL follows a pod's SIGTERM after 30 s. */
const endAfterMs = 15_000;

const say = (line: string) => void process.stderr.write(`${line}\n`);

async function carryOut(order: WorkerOrder, context: TaskContext): Promise<string> {
  if (order.task === 'backup') {
    const { files, dump } = await backUp(order, context);
    return `Backup ${order.backupId}: dump of ${dump.storedBytes} bytes, ${files.count} files, ${files.uploaded.count} of them new.`;
  }
  if (order.task === 'export') {
    const { archive, files } = await exportBackup(order, context);
    return `Export of backup ${order.backupId}: an archive of ${archive.bytes} bytes with ${files} files.`;
  }
  if (order.task === 'load') {
    const { differences, tables, files } = await load(order, context);
    for (const difference of differences) say(difference);
    return `Loaded ${tables} tables and ${files} files: ${differences.length === 0 ? 'as the source says' : 'not as the source says'}.`;
  }
  if (order.task === 'neutralize') {
    await neutralizeLoaded(order, context);
    return 'The copy is neutral.';
  }
  if (order.task === 'swap') {
    await swap(order, context);
    return 'The folders are exchanged.';
  }
  if (order.task === 'tidy') {
    await tidy(order, context);
    return 'The folders are gone.';
  }
  const { differences, more } = await verify(order, context);
  for (const difference of differences) say(difference);
  const count = differences.length + more;
  return `Backup ${order.backupId} was restored and compared: ${count === 0 ? 'it is proven' : `${count} differences`}.`;
}

type Command = { file: string; step?: 'prepare-boot' | 'check-boot'; address?: string };

async function carryOutBoot({ file, step, address = '' }: Command, signal: AbortSignal): Promise<number> {
  const order = await readBootOrder(file);
  if (step === 'prepare-boot') {
    await prepareBoot(order, signal);
    say('The restored database is harmless.');
    return 0;
  }
  const differences = await checkBoot(order, { odoo: `http://${address}:${odooPorts.http}`, signal, say });
  for (const difference of differences) say(difference);
  return differences.length === 0 ? 0 : bootFailed;
}

async function runOrder(command: Command): Promise<number> {
  const { file } = command;
  const interrupt = new AbortController();
  const onSignal = () => {
    interrupt.abort(new Error('asked to end'));
    setTimeout(() => process.exit(143), endAfterMs).unref();
  };
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  const folder = await mkdtemp(join(tmpdir(), 'fleet-worker-'));
  try {
    if (command.step !== undefined) return await carryOutBoot(command, interrupt.signal);
    const order = await readOrder(file);
    const store = openObjectStore(order.store);
    say(await carryOut(order, { store, folder, signal: interrupt.signal, say }));
    return 0;
  } catch (error) {
    if (interrupt.signal.aborted) {
      say('Ended as asked, without a result.');
      return 143;
    }
    const failure = asFailure(error);
    say(oneLine(`${failure.code}: ${failure.message}`, 1_000));
    return 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function commandLine(): Command | 'help' | undefined {
  try {
    const { values, positionals } = parseArgs({ options: { help: { type: 'boolean' } }, allowPositionals: true });
    if (values.help === true) return 'help';
    const [file, step, address, ...more] = positionals;
    if (file === undefined || more.length > 0) return undefined;
    if (step === undefined) return { file };
    if (step === 'prepare-boot' && address === undefined) return { file, step };
    return step === 'check-boot' && address !== undefined ? { file, step, address } : undefined;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

const command = commandLine();
if (command === 'help') process.stdout.write(help);
else if (command === undefined) {
  process.stderr.write(help);
  process.exitCode = 2;
} else {
  // whatever a library still holds open ends with the result
  process.exit(await runOrder(command));
}
