import { randomBytes } from 'node:crypto';
import { pipeline as pump } from 'node:stream/promises';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { startProgram } from './pipeline.ts';
import { programEnvironment } from './postgres-programs.ts';

/** pg_dump's own words at the beginning of a line of its own; it writes the second near the end of the file. */
const completed = /^-- PostgreSQL database dump complete$/m;
const keptOfEnd = 4_096;
/** Within the first lines, before any statement. */
const lookedAtBegin = 4_096;
const restriction = /^\\restrict ([A-Za-z0-9]{1,200})$/m;

/**
 * Loads a plain dump of pg_dump's into the database, in one transaction, as the user of `access`.
 *
 * A plain dump is a program for psql, and this one is somebody else's: `\!` in it would be run by a shell. So all of it is
 * put under psql's own `\restrict`, with a key that the dump cannot know: every other command with a backslash then fails.
 * pg_dump has written that line itself since August 2025 (CVE-2025-8714); its own pair is taken out, as it does not nest.
 *
 * psql ends with 0 when a dump is cut in the middle of its rows: so the input is ended, which commits, only when all of it
 * was read, its checksum is right, and pg_dump's last line is there. Before, psql is killed.
 * @throws Failure `invalid-request` when the dump cannot be loaded as it is; what `sql` throws is thrown.
 */
export async function loadPlainDump(
  sql: AsyncIterable<Buffer>,
  options: { access: DatabaseAccess; folder: string; signal: AbortSignal },
): Promise<void> {
  const { access, folder, signal } = options;
  const env = await programEnvironment(access, folder);
  const cut = new AbortController();
  const either = AbortSignal.any([signal, cut.signal]);
  const flags = ['--no-psqlrc', '--quiet', '--no-password', '--single-transaction', '--file=-'];
  const args = [...flags, '--set=ON_ERROR_STOP=1', '--output=/dev/null', `--dbname=${access.database}`];
  const { input, ended } = startProgram({ program: 'psql', args, env }, { gives: 'input', signal: either });
  if (input === null) throw new Error('a program that was asked for a pipe has none');
  let readFailure: Failure | undefined;
  async function* guarded(): AsyncGenerator<Buffer> {
    try {
      yield* restricted(sql);
    } catch (error) {
      readFailure = asFailure(error);
      cut.abort(readFailure);
      throw error;
    }
  }
  await pump(guarded, input, { signal: either }).catch(() => undefined);
  try {
    await ended;
  } catch (error) {
    signal.throwIfAborted();
    throw readFailure ?? refusedBy(asFailure(error));
  }
}

/** The same dump between `\restrict` and `\unrestrict` of ours, without its own. */
export async function* restricted(sql: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const key = randomBytes(24).toString('hex');
  yield Buffer.from(`\\restrict ${key}\n`);
  let begin: Buffer = Buffer.alloc(0);
  let hasBegun = false;
  let end: Buffer = Buffer.alloc(0);
  let own: string | undefined;
  for await (const piece of sql) {
    if (!hasBegun) {
      begin = Buffer.concat([begin, piece]);
      if (begin.length < lookedAtBegin) continue;
      hasBegun = true;
      ({ own, rest: end } = adapted(begin));
    } else end = Buffer.concat([end, piece]);
    // the last of it is looked at before psql gets it
    if (end.length > keptOfEnd) {
      yield end.subarray(0, end.length - keptOfEnd);
      end = Buffer.from(end.subarray(end.length - keptOfEnd));
    }
  }
  if (!hasBegun) ({ own, rest: end } = adapted(begin));
  const text = end.toString('latin1');
  if (!completed.test(text)) {
    throw new Failure(
      'damaged',
      'The dump.sql of the archive is cut: pg_dump’s last line is not in it. Export it again.',
    );
  }
  yield Buffer.from(own === undefined ? text : text.replace(`\n\\unrestrict ${own}\n`, '\n'), 'latin1');
  yield Buffer.from(`\n\\unrestrict ${key}\n`);
}

/** pg_dump of 17 and newer sets what servers before do not know; without it the server's own default holds, which is none. */
const unknownSetting = /^SET transaction_timeout = 0;$/m;

function adapted(begin: Buffer): { own: string | undefined; rest: Buffer } {
  const text = begin.toString('latin1').replace(unknownSetting, '');
  const found = restriction.exec(text);
  // only where comments and empty lines are before it: elsewhere it is part of something
  const isFirst = found !== null && /^(--[^\n]*\n|\n)*$/.test(text.slice(0, found.index));
  if (!isFirst) return { own: undefined, rest: Buffer.from(text, 'latin1') };
  const rest = text.slice(0, found.index) + text.slice(found.index + found[0].length);
  return { own: found[1], rest: Buffer.from(rest, 'latin1') };
}

const notTheDump =
  /connection to server|server closed the connection|terminating connection|No space left|disk full|SIGKILL|SIGTERM/i;

function refusedBy(failure: Failure): Failure {
  if (failure.code !== 'job-failed') return failure;
  if (/could not be started/.test(failure.message)) return new Failure('misconfigured', failure.message);
  if (notTheDump.test(failure.message)) {
    return new Failure('unavailable', `The load was interrupted: ${failure.message}`, { cause: failure });
  }
  return new Failure('invalid-request', `The dump.sql of the archive cannot be loaded: ${failure.message}`, {
    cause: failure,
  });
}
