import { Webhook } from 'standardwebhooks';

/** The headers of a message, by the Standard Webhooks specification: one signature for each secret that is in use. */
export function signedHeaders(message: {
  id: string;
  /** Of this try. */
  at: Date;
  body: string;
  secrets: readonly Buffer[];
}): Record<string, string> {
  const { id, at, body, secrets } = message;
  const signatures = secrets.map((secret) => new Webhook(secret.toString('base64')).sign(id, at, body));
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': signatures.join(' '),
  };
}
