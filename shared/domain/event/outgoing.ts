/** An event on its way out, as the outbox keeps it. Attributes are ASCII; the data is JSON and holds no secret. */
export type OutgoingEvent = {
  /** UUID; the same for the same fact, so that a receiver can tell a second sending. */
  id: string;
  type: string;
  source: string;
  subject?: string;
  data: unknown;
  extensions?: Record<string, string>;
};
