import { Failure, type FailureCode } from '#shared/domain/failure.ts';

/** A refusal by the API server: what matters of its Status object. */
export type Refusal = { status: number; reason: string; message: string };

/** What was asked, for messages: `PATCH deployments/odoo-abc`. */
export type Request = { method: string; object: string; isSecret: boolean };

/**
 * May the same call be sent again? The server was too busy or somewhere failed inside: every call of ours is written so that it
 * may have been carried out already (create-only names, resourceVersion or uid in the rest).
 */
export function mayRepeat(status: number): boolean {
  return status === 429 || status === 500 || status === 502 || status === 503 || status === 504;
}

/** What a refusal means for the work. */
export function refusalFailure(refusal: Refusal, request: Request): Failure {
  const [code, advice] = meaningOf(refusal, request.method);
  // The server quotes values it refuses; a Secret's must not reach a log.
  const said = request.isSecret && refusal.status === 422 ? 'the Secret is invalid' : refusal.message;
  return new Failure(code, `Kubernetes refused ${request.method} ${request.object}: ${said}${advice}`, {
    facts: { status: refusal.status, reason: refusal.reason },
  });
}

function meaningOf({ status, reason, message }: Refusal, method: string): [FailureCode, string] {
  switch (status) {
    case 401:
      return ['misconfigured', '. The token is not accepted: check the ServiceAccount or the kubeconfig.'];
    case 403:
      if (/exceeded quota/.test(message)) return ['no-capacity', '. Raise the ResourceQuota of the namespace.'];
      if (/being terminated/.test(message)) return ['unavailable', ''];
      return ['not-allowed', '. Check the Role of the ServiceAccount and the admission policies.'];
    case 404:
      if (method === 'POST') return ['misconfigured', '. Create the namespace and its Role first.'];
      return ['not-found', ''];
    case 409:
      return ['conflict', ''];
    case 400:
    case 413:
    case 415:
    case 422:
      return ['constraint-violated', ''];
    case 501:
      return ['misconfigured', '. This API server does not offer the call.'];
    default:
      if (status === 504 || reason === 'Timeout') return ['timeout', ''];
      return [status >= 500 || status === 429 ? 'unavailable' : 'internal', ''];
  }
}

/** Codes after which nothing was sent: the call cannot have been carried out. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const tlsTrouble = /^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH)/;

/** What it means that no answer came. */
export function silenceFailure(cause: unknown, request: Request): Failure {
  const code = codeOf(cause);
  const where = `Kubernetes did not answer ${request.method} ${request.object}`;
  if (tlsTrouble.test(code)) {
    return new Failure('misconfigured', `${where}: its certificate is not trusted (${code}). Check the CA.`, { cause });
  }
  if (neverSent.has(code)) return new Failure('unavailable', `${where}: it cannot be reached (${code}).`, { cause });
  if (code === 'TimeoutError' || /TIMEOUT/.test(code)) return new Failure('timeout', `${where} in time.`, { cause });
  const isRead = request.method === 'GET';
  return new Failure(isRead ? 'unavailable' : 'outcome-unknown', `${where}: the connection broke (${code}).`, {
    cause,
  });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const code = (error as NodeJS.ErrnoException).code;
  if (typeof code === 'string') return code;
  return error.cause instanceof Error ? codeOf(error.cause) : error.name;
}
