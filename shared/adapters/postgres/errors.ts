import { Failure, type FailureCode } from '#shared/domain/failure.ts';

/**
 * What is kept of a driver's error: no detail, hint or internal query, since those quote values of rows
 * (`Key (host)=(…) already exists`).
 */
class DatabaseError extends Error {
  readonly code: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly constraint: string | undefined;

  constructor(message: string, fields: Partial<Record<'code' | 'table' | 'column' | 'constraint', string>>) {
    super(message);
    this.name = 'DatabaseError';
    this.code = fields.code;
    this.table = fields.table;
    this.column = fields.column;
    this.constraint = fields.constraint;
  }
}

type Mapping = { code: FailureCode; text: string };

const unavailable = (text: string): Mapping => ({ code: 'unavailable', text });

/** SQLSTATE, or its class of two characters, to what it means for a caller. The longer key wins. */
const bySqlState: Readonly<Record<string, Mapping>> = {
  '08': unavailable('The connection to the database failed; it is tried again'),
  '22': { code: 'invalid-request', text: 'The database cannot hold a value of this request (NUL byte, range, syntax)' },
  '23': { code: 'constraint-violated', text: 'A rule of the database refuses the change' },
  '25006': unavailable('The database accepts no writes now (read-only, or a standby)'),
  '25P03': unavailable('The database ended a transaction that did nothing for too long'),
  '25P04': { code: 'timeout', text: 'The transaction took longer than the database allows' },
  '28': { code: 'misconfigured', text: 'The database refuses our user: check user, password and pg_hba.conf' },
  '3D': { code: 'misconfigured', text: 'There is no database of this name: check the configuration' },
  '40001': { code: 'conflict', text: 'Two transactions worked on the same rows' },
  '40P01': { code: 'conflict', text: 'Two transactions waited for each other' },
  '40': { code: 'conflict', text: 'The database rolled the transaction back' },
  '42': { code: 'internal', text: 'The database does not understand a statement: were all migrations applied?' },
  '42501': { code: 'misconfigured', text: 'The database does not allow this: check the privileges of our user' },
  '53': unavailable('The database has no resources left (connections, memory or disk)'),
  '55P03': { code: 'conflict', text: 'Somebody else holds a lock on the same rows for too long' },
  '57014': { code: 'timeout', text: 'The statement took longer than its statement_timeout' },
  '57': unavailable('The database is stopping, starting or was told to end our connection'),
};

/** Errors without a SQLSTATE, or with PgBouncer's all-purpose 08P01, told by their text. The first that matches wins. */
const byMessage: readonly (readonly [pattern: RegExp, mapping: Mapping])[] = [
  [/timeout exceeded when trying to connect/, unavailable('All connections of the pool are in use')],
  [/connection timeout|timeout expired/, unavailable('The database does not accept connections in time')],
  [/after calling end on the pool/, unavailable('The pool of connections is closed: this process is ending')],
  [
    /no more connections allowed|query_wait_timeout|server_login_retry/,
    unavailable('PgBouncer has no connection left'),
  ],
  [
    /pgbouncer cannot connect to server|server login has been failing/,
    unavailable('PgBouncer cannot reach its server'),
  ],
  // PgBouncer 1.18 answers all of these with 08P01, which would be tried again for ever
  [
    /no such (user|database)|(password|SASL) authentication failed|unsupported startup parameter/,
    {
      code: 'misconfigured',
      text: 'PgBouncer refuses our connection: check user, password, database and its startup parameters',
    },
  ],
  [
    /SASL|SCRAM|password must be a string|does not support SSL|certificate|self-signed/i,
    { code: 'misconfigured', text: 'The connection cannot be made as configured: check password and TLS mode' },
  ],
];

const networkCodes =
  /^(ECONN(REFUSED|RESET|ABORTED)|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ERR_STREAM_DESTROYED)$/;
const lostConnection =
  /Connection terminated|Client has encountered a connection error|Client was closed|socket hang up|server conn crashed|WebSocket/i;

/**
 * The Failure that an error of `pg`, `@neondatabase/serverless` or PgBouncer is. `place` names the server in its text.
 * `facts.sqlState`, `facts.constraint` and `facts.table` are set where the server named them.
 */
export function databaseFailure(caught: unknown, place: string): Failure {
  if (caught instanceof Failure) return caught;
  const error = fieldsOf(caught);
  const { code, text } = mappingOf(error);
  const isSqlState = error.code !== undefined && /^[0-9A-Z]{5}$/.test(error.code);
  const which = error.constraint === undefined ? '' : `: ${error.constraint}`;
  return new Failure(code, `${text}${which} (${place}${error.code === undefined ? '' : `, ${error.code}`}).`, {
    cause: new DatabaseError(safeMessage(error), error),
    facts: {
      ...(isSqlState ? { sqlState: error.code as string } : {}),
      ...(error.constraint === undefined ? {} : { constraint: error.constraint }),
      ...(error.table === undefined ? {} : { table: error.table }),
    },
  });
}

/**
 * May a transaction that ended with this failure before its COMMIT was sent run again at once? Yes where the database
 * rolled back one of two rivals, or the connection is gone. Not after a wait that used up its time.
 */
export function mayRunAgain(failure: Failure): boolean {
  if (failure.facts['sqlState'] === '40001' || failure.facts['sqlState'] === '40P01') return true;
  if (failure.code !== 'unavailable') return false;
  return !(failure.cause instanceof DatabaseError && /timeout|after calling end/.test(failure.cause.message));
}

/** Does this failure say that the connection is of no more use? */
export function isConnectionLoss(failure: Failure): boolean {
  return failure.code === 'unavailable' && failure.facts['sqlState'] !== '25006';
}

type ErrorFields = { message: string; code?: string; constraint?: string; table?: string; column?: string };

function fieldsOf(caught: unknown): ErrorFields {
  // an AggregateError (every address of a name refused) has an empty message, neon's ErrorEvent is no Error at all
  const raw = Object(caught) as Record<string, unknown>;
  const text = (key: string) => (typeof raw[key] === 'string' && raw[key] !== '' ? { [key]: raw[key] } : {});
  const message = typeof raw['message'] === 'string' && raw['message'] !== '' ? raw['message'] : undefined;
  const fallback = typeof raw['type'] === 'string' ? 'the WebSocket failed' : String(raw['code'] ?? caught);
  return {
    ...text('code'),
    ...text('constraint'),
    ...text('table'),
    ...text('column'),
    message: message ?? fallback,
  } as ErrorFields;
}

function mappingOf({ code, message }: ErrorFields): Mapping {
  const told =
    code === undefined || code.startsWith('08') ? byMessage.find(([pattern]) => pattern.test(message)) : undefined;
  if (told !== undefined) return told[1];
  if (code !== undefined) {
    const known = bySqlState[code] ?? bySqlState[code.slice(0, 2)];
    if (/^[0-9A-Z]{5}$/.test(code) && known !== undefined) return known;
    if (networkCodes.test(code)) return unavailable('The database cannot be reached');
    if (/CERT|TLS|SSL/.test(code))
      return { code: 'misconfigured', text: 'The certificate of the database is not accepted' };
  }
  if (lostConnection.test(message)) return unavailable('The connection to the database was lost');
  return { code: 'internal', text: 'The database or its driver failed unexpectedly' };
}

/** Primary messages name objects, except those of class 22 (bad data) and of raised exceptions, which quote values. */
function safeMessage({ code, message }: ErrorFields): string {
  return code !== undefined && /^(22|P0)...$/.test(code) ? `SQLSTATE ${code}` : message;
}
