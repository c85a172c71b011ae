import { DatabaseError } from 'pg';
import { Failure, type FailureCode } from '#shared/domain/failure.ts';

/** SQLSTATE of a refusal by the server; undefined for anything else. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}

/**
 * Does the error say that what should be made is there? PostgreSQL says it in three ways: 42P04 (database) and 42710
 * (role) when it looked, 23505 on the catalogue's unique index when two made it at the same moment.
 */
export function saysItExists(error: unknown): boolean {
  return ['42P04', '42710', '23505'].includes(sqlStateOf(error) ?? '');
}

/** 3D000: no database of that name. */
export const saysThereIsNoDatabase = (error: unknown) => sqlStateOf(error) === '3D000';

/** 55006: sessions are in the database, and did not leave in the 5 s that the server waits by itself. */
export const saysItIsInUse = (error: unknown) => sqlStateOf(error) === '55006';

/** A tenant's login that fails only because his role or his database has as many sessions as it may. */
export const saysTenantIsFull = (failure: Failure) => failure.facts['isFull'] === true;

/**
 * What the server's refusal of a tenant's login means; undefined when it is not about this tenant. The routine tells
 * a role that may not log in from a server whose pg_hba.conf has no line for it, and a full role from a full server:
 * both pairs have one SQLSTATE (utils/init/miscinit.c, utils/init/postinit.c).
 * Failure `not-allowed` when it is refused, `unavailable` when all its connections are in use.
 */
export function refusalOfTenant(error: unknown, doing: string, role: string): Failure | undefined {
  if (!(error instanceof DatabaseError)) return undefined;
  const isAboutTheTenant = error.routine === 'InitializeSessionUserId' || error.routine === 'CheckMyDatabase';
  const facts = { sqlState: error.code ?? '' };
  if (error.code === '53300' && isAboutTheTenant) {
    const text = `Could not ${doing}: all connections of role ${role} are in use`;
    return new Failure('unavailable', text, { facts: { ...facts, isFull: true } });
  }
  // 28P01: another password or no such role; 42501: no right to connect; 55000: closed to connections
  const isRefused =
    error.code === '28P01' ||
    ((error.code === '28000' || error.code === '42501' || error.code === '55000') && isAboutTheTenant);
  if (!isRefused) return undefined;
  return new Failure('not-allowed', `Could not ${doing}: the server refuses role ${role}: ${error.message}`, { facts });
}

/** The session is lost or not to be trusted any more: anything but a plain refusal of one statement. */
export function breaksConnection(error: unknown): boolean {
  if (error instanceof Failure) return false;
  const state = sqlStateOf(error);
  return state === undefined || state.startsWith('57P') || state.startsWith('08');
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html; the longest prefix wins
const codeOfState: Record<string, FailureCode> = {
  '08': 'unavailable',
  '22': 'invalid-request',
  '23': 'constraint-violated',
  '28': 'misconfigured',
  '2BP01': 'conflict', // dependent objects still exist
  '3D000': 'not-found',
  '40': 'conflict', // serialization failure, deadlock
  '42501': 'not-allowed',
  '42704': 'not-found', // undefined object, here a role
  '42P01': 'not-found', // undefined table
  '42710': 'conflict',
  '42P04': 'conflict',
  '53': 'unavailable', // out of connections, memory or disk
  '55006': 'conflict',
  '55P03': 'conflict', // lock not available
  '57014': 'timeout', // statement_timeout
  '57P': 'unavailable', // shutting down, starting up, terminated by somebody
  '58': 'unavailable', // the server's own disk
};

const networkErrors = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
]);

/**
 * The one place where an error of an Odoo server becomes a Failure. `doing` ends the sentence "Could not …".
 * The text has the server's own message, which names objects and never holds a password: passwords go over as
 * verifiers and hashes only. The original error is kept as `cause` only where it is not understood.
 */
export function toFailure(error: unknown, doing: string, serverId: string): Failure {
  if (error instanceof Failure) return error;
  const where = `Odoo server ${serverId}`;
  const state = sqlStateOf(error);
  if (error instanceof DatabaseError && state !== undefined) {
    const code = codeOfState[state] ?? codeOfState[state.slice(0, 3)] ?? codeOfState[state.slice(0, 2)] ?? 'internal';
    return new Failure(code, `Could not ${doing} on ${where}: ${explain(state, error.message)}`, {
      facts: { sqlState: state, server: serverId },
    });
  }
  return fromDriver(error, { doing, where, serverId });
}

function explain(state: string, message: string): string {
  if (state.startsWith('28')) return 'it refuses the admin role or its password; check db_servers.secret_key';
  // a syntax error quotes the statement, which may hold a verifier
  if (state === '42601') return 'syntax error';
  if (state === '42501') return `${message}; the admin role needs LOGIN, CREATEDB and CREATEROLE, and its own objects`;
  return message;
}

function fromDriver(error: unknown, at: { doing: string; where: string; serverId: string }): Failure {
  const facts = { server: at.serverId };
  const message = error instanceof Error ? error.message : 'unknown error';
  const network = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (networkErrors.has(network)) {
    return new Failure('unavailable', `Could not ${at.doing}: ${at.where} cannot be reached (${network})`, { facts });
  }
  if (message === 'Query read timeout') {
    return new Failure('outcome-unknown', `Could not ${at.doing}: ${at.where} did not answer in time`, { facts });
  }
  // the driver's own words have no code: pg/lib/client.js, pg-pool/index.js
  if (/Connection terminated|timeout expired|trying to connect|not queryable|pool after calling end/.test(message)) {
    return new Failure('unavailable', `Could not ${at.doing}: the connection to ${at.where} was lost or not made`, {
      facts,
    });
  }
  if (/SSL|SASL|CERT/.test(message + network) || /certificate/.test(message)) {
    return new Failure('misconfigured', `Could not ${at.doing}: no trusted connection to ${at.where}: ${message}`, {
      facts,
    });
  }
  return new Failure('internal', `Could not ${at.doing} on ${at.where}: ${message}`, { cause: error, facts });
}
