import { randomBytes } from 'node:crypto';

/** What wraps the secret of an endpoint. It is bound to the endpoint: in another row it opens nothing. */
export type SecretWrapper = {
  wrap(secret: Buffer, endpointId: string): Promise<string>;
  /** @throws Failure `misconfigured`, `damaged` */
  unwrap(wrapped: string, endpointId: string): Promise<Buffer>;
};

/** Wraps by the ring's current key what another one has wrapped. */
export type SecretRewrapper = {
  /** Undefined when it is wrapped by the current key already. @throws Failure `misconfigured`, `damaged` */
  rewrap(wrapped: string, endpointId: string): Promise<string | undefined>;
};

/** 32 random bytes: what the Standard Webhooks specification asks for at least is 24. */
export function newSecret(): Buffer {
  return randomBytes(32);
}

/** As the customer is shown it, once. */
export function secretText(secret: Buffer): string {
  return `whsec_${secret.toString('base64')}`;
}

/** How long the secret before is used beside the new one, unless the customer says otherwise. */
export const overlapHoursByDefault = 24;
export const overlapHoursAtMost = 168;
