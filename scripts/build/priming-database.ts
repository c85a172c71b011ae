import { createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';

/** A field of a row, as PostgreSQL writes it: the number of its type in `pg_type`, and its text. */
export type Field = { type: number; text: string | null };

/**
 * Speaks PostgreSQL's protocol and lets in whoever knows the password (SCRAM-SHA-256). Every statement succeeds; rows are
 * given by those without a table, and by a `select` of a table, or an `insert` into it, that `rows` has one for. A function
 * that is compiled for its cache meets it, so that the way of an event through the driver is compiled, too: a build has no
 * PostgreSQL.
 */
export async function startPrimingDatabase(
  password: string,
  rows: Readonly<Record<string, Readonly<Record<string, Field>>>>,
): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    // the function is killed when it is done
    socket.on('error', () => undefined);
    const answer = openConversation(password, (statement) => answerOf(statement, rows));
    let waiting = Buffer.alloc(0);
    let isStarted = false;
    socket.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      // the first message alone has no letter
      for (let at = isStarted ? 1 : 0; waiting.length >= at + 4; at = 1) {
        const end = at + waiting.readInt32BE(at);
        if (waiting.length < end) return;
        const kind = isStarted ? String.fromCharCode(waiting[0] ?? 0) : 'startup';
        isStarted = true;
        socket.write(answer(kind, waiting.subarray(at + 4, end)));
        waiting = waiting.subarray(end);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the database has no port');
  return {
    port: address.port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** What describes a statement's rows, and the rows; undefined for one that gives none. */
type Rows = { description: Buffer; row: Buffer } | undefined;

/** One connection: the bytes that answer a message. */
function openConversation(password: string, rowsOf: (statement: string) => Rows) {
  const scram = openScram(password);
  let statement = '';
  let state = 'I';
  const ready = () => message('Z', Buffer.from(state));
  const done = (text: string) => {
    const command = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? '';
    if (command === 'BEGIN') state = 'T';
    if (command === 'COMMIT' || command === 'ROLLBACK') state = 'I';
    return message('C', text0(command === 'INSERT' ? 'INSERT 0 1' : `${command} 0`));
  };
  const answers: Record<string, (body: Buffer) => Buffer> = {
    startup: () => message('R', Buffer.concat([int32(10), text0('SCRAM-SHA-256'), Buffer.from([0])])),
    p: (body) => {
      const next = scram(body);
      if (next.isLast) return Buffer.concat([authentication(12, next.text), message('R', int32(0)), ready()]);
      return authentication(11, next.text);
    },
    Q: (body) => {
      const statements = body.toString().replace(/\0$/, '').split(';');
      const parts = statements.flatMap((one) => {
        const rows = rowsOf(one);
        return rows === undefined ? [done(one)] : [rows.description, rows.row, done(one)];
      });
      return Buffer.concat([...parts, ready()]);
    },
    P: (body) => {
      statement = body.subarray(body.indexOf(0) + 1, body.indexOf(0, body.indexOf(0) + 1)).toString();
      return message('1');
    },
    B: () => message('2'),
    D: () => rowsOf(statement)?.description ?? message('n'),
    E: () => Buffer.concat([rowsOf(statement)?.row ?? Buffer.alloc(0), done(statement)]),
    S: ready,
  };
  return (kind: string, body: Buffer) => answers[kind]?.(body) ?? Buffer.alloc(0);
}

function answerOf(statement: string, tables: Readonly<Record<string, Readonly<Record<string, Field>>>>): Rows {
  if (!/^\s*(select|with)\b|\breturning\b/i.test(statement)) return undefined;
  let flat = statement;
  for (let before = ''; before !== flat; flat = flat.replaceAll(/\([^()]*\)/g, '')) before = flat;
  const known = tables[/^\s*(?:select\b[^]*\bfrom|insert into) (\w+)/i.exec(flat)?.[1] ?? ''];
  const named = [...statement.matchAll(/\bas (\w+)/gi)].map((match): [string, Field] => [match[1] ?? '', one]);
  const fields = known === undefined ? named : Object.entries(known);
  const hasRow = known !== undefined || !/\b(from|into|update)\b/i.test(flat);
  const columns = fields.flatMap(([name, { type }]) => {
    const format = [int32(type), int16(-1), int32(-1), int16(0)];
    return [text0(name), int32(0), int16(0), ...format];
  });
  const values = fields.flatMap(([, { text }]) =>
    text === null ? [int32(-1)] : [int32(Buffer.byteLength(text)), Buffer.from(text)],
  );
  const withCount = (kind: string, parts: Buffer[]) => message(kind, Buffer.concat([int16(fields.length), ...parts]));
  return { description: withCount('T', columns), row: hasRow ? withCount('D', values) : Buffer.alloc(0) };
}

/** A text. */
const one: Field = { type: 25, text: '1' };

/** The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without a look at the client's proof. */
function openScram(password: string): (body: Buffer) => { text: string; isLast: boolean } {
  const salt = randomBytes(16);
  const iterations = 4096;
  let said = '';
  return (body) => {
    if (said === '') {
      // the mechanism's name and a length come before it
      const client = body
        .subarray(body.indexOf(0) + 5)
        .toString()
        .replace(/^[^,]*,[^,]*,/, '');
      const nonce = /r=([^,]+)/.exec(client)?.[1] ?? '';
      const text = `r=${nonce}${randomBytes(12).toString('base64')},s=${salt.toString('base64')},i=${iterations}`;
      said = `${client},${text}`;
      return { text, isLast: false };
    }
    const key = createHmac('sha256', pbkdf2Sync(password, salt, iterations, 32, 'sha256'))
      .update('Server Key')
      .digest();
    const signed = `${said},${body.toString().replace(/,p=.*$/, '')}`;
    return { text: `v=${createHmac('sha256', key).update(signed).digest('base64')}`, isLast: true };
  };
}

const int16 = (value: number) => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text0 = (text: string) => Buffer.from(`${text}\0`);
const authentication = (step: number, text: string) => message('R', Buffer.concat([int32(step), Buffer.from(text)]));
const message = (kind: string, body: Buffer = Buffer.alloc(0)) =>
  Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
