import { styleText } from 'node:util';

/** Only where it is a cell of a table: the same words stand in sentences. */
const cell = (words: string) => new RegExp(`(?<=^| {2})(${words})(?=$| {2}|,| \\()`, 'g');

const colours = {
  green: cell('running|succeeded|active|ok|proven|sent|verified'),
  red: cell('failed|error|refuted|given-up|terminated|alarm|disabled'),
  yellow: cell('warning|waiting|queued|suspended|cancelled|maintenance|unverified|blocked|held'),
} as const;

/** States in colours. Without regard to where the text goes: the caller knows. */
export function painted(line: string): string {
  let text = line;
  for (const colour of ['green', 'red', 'yellow'] as const) {
    text = text.replace(colours[colour], (word) => styleText(colour, word, { validateStream: false }));
  }
  return text;
}

/** Without what a terminal would obey: names and reasons are other people's. */
export function plain(line: string): string {
  return line.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
