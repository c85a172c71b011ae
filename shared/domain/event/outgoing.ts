/** An event of ours on its way to the broker. CloudEvents 1.0 names; ids, never secrets, in `data`. */
export type OutgoingEvent = {
  /** UUID. The same event said twice carries the same one and is sent once. */
  id: string;
  type: string;
  source: string;
  subject?: string;
  /** When it happened; the moment of sending when left out. */
  time?: Date;
  /** What JSON can hold. */
  data: unknown;
  /** Extension attributes: lower-case letters and digits, ASCII values. */
  extensions?: Readonly<Record<string, string>>;
};
