import { Failure, type FailureCode, failureCodes } from '#shared/domain/failure.ts';

/** 0 done, 1 failed, 2 called wrongly, 3 the API is not reached or cannot answer, 4 refused. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/** Fact of a failure that the API has answered with. */
const statusFact = 'status';

const remedies: Partial<Readonly<Record<FailureCode, string>>> = {
  unauthenticated: 'Check FLEET_TOKEN: it may have ended or been revoked. "fleet keys create" makes a key.',
  forbidden: 'Ask with a key that may do this, or have an admin do it.',
  'not-found': 'Look at what there is with "list"; what belongs to another customer is not shown.',
  'precondition-failed': 'Look at it again, then repeat.',
  'backup-required': 'Make a backup first: "fleet instances backup INSTANCE --watch".',
  'too-many-operations': 'Wait until some have ended: "fleet operations list --state queued,running,waiting".',
  internal: 'Report it with its request id.',
};

/** What the API has answered instead of what was asked for. */
export type Refusal = { status: number; body: unknown; retryAfter: string | undefined; host: string };

type Problem = {
  detail?: unknown;
  code?: unknown;
  requestId?: unknown;
  errors?: { field?: unknown; detail?: unknown }[];
};

/** The failure that an answer stands for: with its fields, and what to do about it. */
export function failureOf({ status, body, retryAfter, host }: Refusal): Failure {
  const facts = { [statusFact]: status };
  const { detail, code, requestId, errors } = (typeof body === 'object' && body !== null ? body : {}) as Problem;
  if (typeof detail !== 'string' || typeof code !== 'string') {
    const text = `${host} answered ${status}, and not as the API does. Check that FLEET_URL is the API's own address.`;
    return new Failure('unavailable', text, { facts });
  }
  const known = code in failureCodes ? (code as FailureCode) : 'internal';
  const others = (errors ?? []).filter((one) => one.detail !== detail && !detail.includes(String(one.detail)));
  const parts = [detail, ...others.map((one) => `${String(one.field)}: ${String(one.detail)}`)];
  if (status >= 500) parts.push(`Request id: ${String(requestId)}.`);
  const remedy = remedies[known];
  if (remedy !== undefined) parts.push(remedy);
  if (retryAfter !== undefined) parts.push(`Worth another try in ${retryAfter} s.`);
  return new Failure(known, parts.join('\n'), { facts });
}

/** What this program ends with for a failure. */
export function exitCodeOf({ code, facts }: Failure): ExitCode {
  const status = Number(facts[statusFact] ?? 0);
  if (code === 'misconfigured' && status === 0) return 2;
  if (status === 400 || status === 413 || status === 415) return 2;
  if (status >= 400 && status < 500) return 4;
  return code === 'unavailable' || code === 'timeout' || code === 'outcome-unknown' || status === 503 ? 3 : 1;
}

const certificates = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME/;
const neverSent = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/;

/** The failure of a call that got no answer. `changes`: it may have been done all the same. */
export function unreached(cause: unknown, { host, changes }: { host: string; changes: boolean }): Failure {
  const { code = '', name } = cause as { code?: string; name?: string };
  const why = code === '' ? (name ?? 'no answer') : code;
  if (certificates.test(code)) {
    const text = `The certificate of ${host} is not trusted (${code}). Name your own authority with NODE_EXTRA_CA_CERTS.`;
    return new Failure('unavailable', text, { cause });
  }
  if (changes && !neverSent.test(code)) {
    const text = `${host} did not answer (${why}), and it may have been done. Look at it before you repeat it.`;
    return new Failure('outcome-unknown', text, { cause });
  }
  const text = `${host} is not reached (${why}). Check FLEET_URL and the network; "fleet doctor" says more.`;
  return new Failure('unavailable', text, { cause });
}
