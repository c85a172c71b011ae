// Many stand-ins in one process, for fleets of hundreds: the same pages, tables and connections, without a program's start and
// memory for each. Told by its parent's messages what to serve; ends with its parent.
import { log } from './log.ts';
import { readOptions } from './options.ts';
import { openSite, type Site } from './site.ts';

/** `number` stands for one container; its end is told by `exited` with the code its own process would have ended with. */
export type ToCrowd =
  | { do: 'serve'; number: number; args: readonly string[] }
  | { do: 'end'; number: number; signal: NodeJS.Signals };
export type FromCrowd = { exited: number; code: number };

const sites = new Map<number, Promise<Site>>();

function tell(message: FromCrowd): void {
  process.send?.(message);
}

async function openNew(args: readonly string[]): Promise<Site> {
  return await openSite(readOptions(args));
}

async function serve(number: number, args: readonly string[]): Promise<void> {
  const opened = openNew(args);
  sites.set(number, opened);
  try {
    await opened;
  } catch (error) {
    sites.delete(number);
    log('ERROR', undefined, 'start', (error as Error).message);
    tell({ exited: number, code: 1 });
  }
}

async function end(number: number, signal: NodeJS.Signals): Promise<void> {
  const opened = sites.get(number);
  if (opened === undefined) return;
  if (signal === 'SIGKILL') tellGone(number, 137);
  try {
    await (await opened).close(signal);
  } catch (error) {
    log('ERROR', undefined, 'server', (error as Error).message);
  }
  tellGone(number, 0);
}

function tellGone(number: number, code: number): void {
  if (sites.delete(number)) tell({ exited: number, code });
}

process.on('message', (message: ToCrowd) => {
  void (message.do === 'serve' ? serve(message.number, message.args) : end(message.number, message.signal));
});
process.on('disconnect', () => process.exit(0));
// The parent ends it by closing the channel, after the pods.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
