import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { type Attempts, instanceOf, userOf } from './attempts.ts';

/** Whoever says nothing for so long, or so much without a line's end, is let go. */
const longestSilenceMs = 30_000;
const longestLine = 64 * 1024;
const mostSessions = 200;

/** The state of one session. */
type Session = { user: string | undefined; recipients: number; reading: 'commands' | 'message' | 'login' };

/** A mail server (RFC 5321, as far as Python's smtplib speaks it) that takes every message, and keeps none. */
export function sinkMail(attempts: Attempts): Server {
  const server = createServer((socket) => {
    socket.setTimeout(longestSilenceMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    const session: Session = { user: undefined, recipients: 0, reading: 'commands' };
    const say = (line: string) => socket.write(`${line}\r\n`);
    say('220 outbound-sink ESMTP');
    let unended = 0;
    socket.on('data', (data) => {
      const end = data.lastIndexOf('\n');
      unended = end === -1 ? unended + data.length : data.length - end;
      if (unended > longestLine) socket.destroy();
    });
    createInterface({ input: socket }).on('line', (line) => {
      const answer = answerTo(line, session, attempts);
      if (answer !== undefined) say(answer);
      if (answer?.startsWith('221')) socket.end();
    });
  });
  server.maxConnections = mostSessions;
  return server;
}

function answerTo(line: string, session: Session, attempts: Attempts): string | undefined {
  if (session.reading === 'message') {
    if (line !== '.') return undefined;
    session.reading = 'commands';
    attempts.record({ way: 'mail', instance: instanceOf(session.user), to: `${session.recipients} recipients` });
    session.recipients = 0;
    return '250 taken, and sent to nobody';
  }
  if (session.reading === 'login') {
    session.reading = 'commands';
    session.user = userOf(line, '\0');
    return '235 as you say';
  }
  return answerToCommand(line, session);
}

function answerToCommand(line: string, session: Session): string {
  const [command = '', way = '', credentials] = line.split(' ');
  switch (command.toUpperCase()) {
    case 'EHLO':
      return '250-outbound-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN';
    case 'HELO':
    case 'NOOP':
    case 'MAIL':
      return '250 as you say';
    case 'RSET':
      session.recipients = 0;
      return '250 as you say';
    case 'AUTH':
      if (way.toUpperCase() !== 'PLAIN') return '504 PLAIN only';
      if (credentials === undefined) {
        session.reading = 'login';
        return '334 ';
      }
      session.user = userOf(credentials, '\0');
      return '235 as you say';
    case 'RCPT':
      session.recipients += 1;
      return '250 as you say';
    case 'DATA':
      session.reading = 'message';
      return '354 go on';
    case 'QUIT':
      return '221 bye';
    default:
      return '502 not known here';
  }
}
