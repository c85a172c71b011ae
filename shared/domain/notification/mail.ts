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
