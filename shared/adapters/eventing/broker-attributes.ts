/**
 * Attributes that a Knative broker adds on its way and that are no part of the publisher's event: why it could not be
 * delivered, when it came in, and how many brokers it may still pass. One that is sent again goes without them.
 */
export function isBrokerAttribute(name: string): boolean {
  return name.startsWith('knativeerror') || name === 'knativebrokerttl' || name === 'knativearrivaltime';
}

/** Is the whole event in the body (structured mode)? */
export function isStructuredMode(contentType: string | null): boolean {
  return contentType !== null && /^application\/cloudevents\s*(\+json)?\s*(;|$)/i.test(contentType);
}
