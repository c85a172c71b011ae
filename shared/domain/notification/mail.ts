import type { Rendered } from './render.ts';

export type MailState = 'queued' | 'sent' | 'failed' | 'bounced';

/** What is handed to a mail server. */
export type Mail = Rendered & {
  /** The same for every try, so that readers' programs show one that was sent twice once. */
  id: string;
  to: string;
};

/** An address as both of our records have it. */
export function sameAddress(address: string): string {
  return address.toLowerCase();
}

/** Nothing that a command or a header would take for its end, or for a second address. */
export function isPlainAddress(address: string): boolean {
  return address.length <= 254 && /^[^\s<>,;:"()[\]\\@\p{C}]{1,64}@[A-Za-z0-9.-]{1,188}$/u.test(address);
}
