import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { asFailure } from '#shared/domain/failure.ts';
import { messageOf, type Sender } from './message.ts';
import type { Mailer } from './smtp.ts';

/** Mails as files, for fleets on one machine: `<id>.eml`, which only their owner reads, for they hold one-time links. */
export function openFolderMailer({ folder, ...sender }: Sender & { folder: string }): Mailer {
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });
  return {
    async send(mail) {
      try {
        const { message } = await transport.sendMail(messageOf(mail, sender));
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const file = join(folder, `${mail.id}.eml`);
        await writeFile(`${file}.part`, message as Buffer, { mode: 0o600 });
        await rename(`${file}.part`, file);
        return { is: 'sent' };
      } catch (caught) {
        return { is: 'again', reason: `The mail could not be written: ${asFailure(caught).message}` };
      }
    },
    end: async () => transport.close(),
  };
}
