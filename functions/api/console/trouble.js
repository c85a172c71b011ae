import { byId, say } from './elements.js';

const again = 'This page tries again by itself.';

/** Will asking again help, without anybody's doing? No answer, a part that is away, too many at once. */
export const isPassing = ({ status }) => status === 0 || status === 429 || status >= 500;

/** Says that what is shown may be old, and that it is being looked after. */
export function tellTrouble({ status = 0 }) {
  const what =
    status === 0
      ? 'The connection to the server is lost.'
      : status === 429
        ? 'That were too many requests for now.'
        : 'A part of the platform does not answer.';
  say(`${what} ${again}`, 'bad');
}

/** Takes that back; whatever else was said meanwhile stays. */
export function tellBack() {
  if (byId('message').textContent.endsWith(again)) say('The connection is back.');
}
