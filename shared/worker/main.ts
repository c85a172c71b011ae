import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openObjectStore } from '#shared/adapters/objectstore/open.ts';
import type { WorkerOrder } from '#shared/domain/backup/order.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { backUp } from './backup.ts';
import { readOrder } from './order-file.ts';
import type { TaskContext } from './task.ts';
import { verify } from './verify.ts';

const help = `Usage: node main.js ORDER_FILE | --help

Carries out the order of one Job: makes a backup of an instance, or restores one into an empty database and compares it
with its manifest. The order is a JSON file, which a Secret mounts; nothing is taken from the environment but PATH, TMPDIR
(a folder for a file with a password, which is removed at the end) and NODE_EXTRA_CA_CERTS. It needs pg_dump or pg_restore, of the server's
major version or newer, and zstd.

Exit code: 0 the result is in the object store, 1 failed (the last line of stderr says why), 2 called wrongly,
143 ended by SIGTERM. A verification that finds a backup wrong has a result, too: exit code 0.
`;

/** SIGKILL follows a pod's SIGTERM after 30 s. */
const endAfterMs = 15_000;

const say = (line: string) => void process.stderr.write(`${line}\n`);

async function carryOut(order: WorkerOrder, context: TaskContext): Promise<string> {
  if (order.task === 'backup') {
    const { files, dump } = await backUp(order, context);
    return `Backup ${order.backupId}: dump of ${dump.storedBytes} bytes, ${files.count} files, ${files.uploaded.count} of them new.`;
  }
  const { differences, more } = await verify(order, context);
  for (const difference of differences) say(difference);
  const count = differences.length + more;
  return `Backup ${order.backupId} was restored and compared: ${count === 0 ? 'it is proven' : `${count} differences`}.`;
}

async function runOrder(file: string): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => {
    interrupt.abort(new Error('asked to end'));
    setTimeout(() => process.exit(143), endAfterMs).unref();
  };
  process.once('SIGTERM', onSignal).once('SIGINT', onSignal);
  const folder = await mkdtemp(join(tmpdir(), 'fleet-worker-'));
  try {
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

function commandLine(): { file: string } | 'help' | undefined {
  try {
    const { values, positionals } = parseArgs({ options: { help: { type: 'boolean' } }, allowPositionals: true });
    if (values.help === true) return 'help';
    const [file] = positionals;
    return file === undefined || positionals.length > 1 ? undefined : { file };
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
  process.exit(await runOrder(command.file));
}
