import type { SendMailOptions } from 'nodemailer';
import type { Mail } from '#shared/domain/notification/mail.ts';
import { oneLine } from '#shared/domain/one-line.ts';

/** Who mails come from. */
export type Sender = {
  /** An address of a domain that lets our relay send for it. */
  from: string;
  /** Shown beside it. */
  fromName: string;
};

/** The message as nodemailer takes it. Addresses go as they are, never parsed; what a header holds is one line. */
export function messageOf(mail: Mail, { from, fromName }: Sender): SendMailOptions {
  const domain = from.slice(from.lastIndexOf('@') + 1);
  return {
    messageId: `<${mail.id}@${domain}>`,
    from: { name: oneLine(fromName, 100), address: from },
    to: { name: '', address: mail.to },
    envelope: { from, to: [mail.to] },
    subject: oneLine(mail.subject, 200),
    text: mail.text,
    html: mail.html,
    headers: { 'Auto-Submitted': 'auto-generated', 'Content-Language': mail.language },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
