import type { AddressInfo, Socket } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** What a real mail server says to one recipient or one text: nothing, to take it; or a code with words. */
export type Answer = { code: number; text: string } | 'hang-up' | undefined;

export type ReceivedMail = { from: string; to: string; user: string | undefined; isEncrypted: boolean; text: string };

export type MailServer = {
  port: number;
  /** Whole texts it got, also those it refused after, or hung up on. */
  received: ReceivedMail[];
  /** Connections that were opened. */
  connections(): number;
  onRecipient: (address: string) => Answer;
  onText: (text: string) => Answer;
  close(): Promise<void>;
};

/** A mail server on a free port of loopback that takes all, unless told otherwise. */
export async function openMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const state: Pick<MailServer, 'received' | 'onRecipient' | 'onText'> = {
    received: [],
    onRecipient: () => undefined,
    onText: () => undefined,
  };
  const hangUp = () => {
    // as a server does that is stopped: an end, and no reset
    for (const socket of sockets) socket.end();
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onRcptTo({ address }, _session, done) {
      const answer = state.onRecipient(address);
      if (answer === 'hang-up') return hangUp();
      done(answer && refusal(answer));
    },
    onData(stream, session, done) {
      const pieces: Buffer[] = [];
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const { mailFrom, rcptTo } = session.envelope;
        state.received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address).join(),
          user: session.user as string | undefined,
          isEncrypted: session.secure,
          text,
        });
        const answer = state.onText(text);
        if (answer === 'hang-up') return hangUp();
        done(answer && refusal(answer));
      });
    },
    ...options,
  });
  server.on('error', () => undefined);
  server.server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, {
    port: (server.server.address() as AddressInfo).port,
    connections: () => connections,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  });
}

function refusal({ code, text }: { code: number; text: string }): Error {
  return Object.assign(new Error(text), { responseCode: code });
}
